package forecast_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/forecast"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// show lists keys [from, to) of a set page by page.
func show(o *forecast.Forecast, set keyset.Set, from, to, page int64) {
	for ; from < to; from += page {
		o.See(int(min(page, to-from)), func(i int) string { return set.Key(from + int64(i)) })
	}
}

// TestLeft checks by which factor estimates are off after a tenth of a span was listed: the
// median of many spans, for each shape.
func TestLeft(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 0))
	for _, shape := range keyset.Names()[:18] {
		set := keyset.Must(shape, 1_000_000, 1)
		var known forecast.KeyModel
		var off []float64
		for range 60 {
			n := int64(2000 * math.Pow(100, rnd.Float64()))
			from := rnd.Int64N(set.Len() - n)
			o := forecast.New(&known)
			show(o, set, from, from+n/10, 100)
			off = append(off, math.Abs(math.Log(o.Left(set.Key(from+n-1))/float64(n-n/10))))
		}
		slices.Sort(off)
		median, worst := math.Exp(off[len(off)/2]), math.Exp(off[len(off)*9/10])
		t.Logf("%-10s median %.2f, nine of ten within %.1f", shape, median, worst)
		if shape != "zruns" && median > 2.3 {
			t.Errorf("%s: half of the estimates are off by more than a factor of %.2f", shape, median)
		}
	}
}

// Whatever was listed, and of any shape, there are cuts, and they increase, lie within the span
// and are valid UTF-8.
func TestCutsOfAnyShape(t *testing.T) {
	rnd := rand.New(rand.NewPCG(12, 0))
	for _, shape := range keyset.Names() {
		set := keyset.Must(shape, 200_000, 1)
		var known forecast.KeyModel
		found := 0
		for range 200 {
			o := forecast.New(&known)
			from := rnd.Int64N(set.Len() - 5000)
			to := from + 1 + rnd.Int64N(1000)
			show(o, set, from, to, 1+rnd.Int64N(300))
			upto := ""
			if rnd.IntN(4) > 0 {
				upto = set.Key(to + rnd.Int64N(set.Len()-to))
			}
			n := rnd.IntN(40)
			cuts := o.Cuts(upto, n)
			if found += len(cuts); len(cuts) > n {
				t.Fatalf("%s: %d cuts, want at most %d", shape, len(cuts), n)
			}
			before := set.Key(to - 1)
			for _, cut := range cuts {
				if cut <= before || upto != "" && cut >= upto || !utf8.ValidString(cut) {
					t.Fatalf("%s: cut %q between %q and %q", shape, cut, before, upto)
				}
				before = cut
			}
		}
		if found < 200 {
			t.Errorf("%s: %d cuts in all", shape, found)
		}
	}
}

func TestCutsOfSmallListings(t *testing.T) {
	for _, keys := range [][]string{{"a"}, {"a", "a\x00"}, {"\U0010ffff"}, {"a", "b"}, {"é", "é😀", "😀"}} {
		for _, upto := range []string{"", keys[len(keys)-1] + "\x00", keys[len(keys)-1] + "é", "\U0010ffff\U0010ffff"} {
			o := forecast.New(new(forecast.KeyModel))
			if left, cuts := o.Left(upto), o.Cuts(upto, 5); left != 0 || cuts != nil {
				t.Errorf("of nothing listed %g are left, cut at %q", left, cuts)
			}
			o.See(len(keys), func(i int) string { return keys[i] })
			o.Skip(3)
			if left := o.Left(upto); left < 0 || math.IsNaN(left) || math.IsInf(left, 0) {
				t.Errorf("after %q up to %q %g are left", keys, upto, left)
			}
			for _, cut := range o.Cuts(upto, 5) {
				if cut <= keys[len(keys)-1] || upto != "" && cut >= upto || !utf8.ValidString(cut) {
					t.Errorf("after %q up to %q: cut %q", keys, upto, cut)
				}
			}
		}
	}
}

// Cuts are no longer than keys may be, even between the longest keys.
func TestCutsOfTheLongestKeys(t *testing.T) {
	const digits = 6
	for name, stem := range map[string]string{"run": "z", "path": "ab/cd", "two bytes a rune": "é"} {
		stem = strings.Repeat(stem, (limits.Key-digits)/len(stem))
		o := forecast.New(new(forecast.KeyModel))
		o.See(1000, func(i int) string { return fmt.Sprintf("%s%0*d", stem, digits, i) })
		for _, upto := range []string{"", stem + "x", stem + "\U0010ffff"} {
			for _, cut := range o.Cuts(upto, 64) {
				if len(cut) > limits.Key || !utf8.ValidString(cut) {
					t.Errorf("%s: a cut of %d bytes: %q", name, len(cut), cut)
				}
			}
		}
	}
}

func TestNothingIsLeftAtTheEnd(t *testing.T) {
	o := forecast.New(new(forecast.KeyModel))
	o.See(2, func(i int) string { return []string{"a", "b"}[i] })
	if left := o.Left("b"); left != 0 {
		t.Errorf("%g are left", left)
	}
}

func ExampleForecast() {
	o := forecast.New(new(forecast.KeyModel))
	o.See(100, func(i int) string { return fmt.Sprintf("img-%04d", i) })
	fmt.Printf("%.0f left\n", o.Left("img-5000"))
	fmt.Println(o.Cuts("img-5000", 1))
	// Output:
	// 4900 left
	// [img-254]
}

// TestNoted asks for estimates after every few pages of a listing. They are hardly worse if only
// the last key of each page is looked at.
func TestNoted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 0))
	for _, shape := range keyset.Names()[:18] {
		set := keyset.Must(shape, 1_000_000, 1)
		var seeing, noting forecast.KeyModel
		var off []float64
		for range 8 {
			n := int64(20_000 * math.Pow(10, rnd.Float64()))
			from := rnd.Int64N(set.Len() - n)
			saw, noted := forecast.New(&seeing), forecast.New(&noting)
			upto := set.Key(from + n - 1)
			for at := from; at < from+n/2; {
				for range 1 + rnd.IntN(4) {
					show(saw, set, at, at+100, 100)
					noted.Note(100, func(i int) []byte { return set.AppendKey(nil, at+int64(i)) })
					at += 100
				}
				off = append(off, math.Abs(math.Log(noted.Left(upto)/saw.Left(upto))))
			}
		}
		slices.Sort(off)
		median, most := math.Exp(off[len(off)/2]), math.Exp(off[len(off)*9/10])
		t.Logf("%-10s median %.2f, nine of ten within %.1f", shape, median, most)
		if median > 1.1 || most > 2 {
			t.Errorf("%s: half of the estimates are off by more than a factor of %.2f, and a tenth by %.1f", shape, median, most)
		}
	}
}

// TestPaddedNumbersAreNoRuns cuts an open end after a key with many zeros. Hardly any cut may
// lie in numbers with more zeros.
func TestPaddedNumbersAreNoRuns(t *testing.T) {
	set := keyset.Must("hive", 1_000_000, 1)
	const n = 7
	cuts, within := 0, 0
	for to := int64(2000); to < 6000; to++ {
		last := set.Key(to - 1)
		name := strings.Index(last, "part-000000000")
		if name < 0 {
			continue
		}
		o := forecast.New(new(forecast.KeyModel))
		show(o, set, 0, to, 1000)
		for _, cut := range o.Cuts("", n) {
			if cuts++; strings.HasPrefix(cut, last[:name]) {
				within++
			}
		}
	}
	if cuts == 0 || within > cuts/10 {
		t.Errorf("%d of %d cuts are in the directory of the last key, which holds a few", within, cuts)
	}
}
