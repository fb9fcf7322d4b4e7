package keyspace_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// decimals returns n sorted distinct keys of so many decimal digits each, behind
// a prefix.
func decimals(rnd *rand.Rand, prefix string, n, digits int) []string {
	keys := make([]string, n)
	for i := range keys {
		var b strings.Builder
		b.WriteString(prefix)
		for range digits {
			b.WriteByte(byte('0' + rnd.IntN(10)))
		}
		keys[i] = b.String()
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// The naive twin: keys are read as decimal numbers.
func TestDistancesAreThoseOfNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	for range 500 {
		digits := 1 + rnd.IntN(60)
		prefix := strings.Repeat("/", rnd.IntN(5))
		keys := decimals(rnd, prefix, 20, digits)
		if len(keys) < 2 {
			continue
		}
		var a keyspace.Alphabet
		a.Reset(len(prefix), keys...)
		number := func(key string) *big.Float {
			x, _ := new(big.Float).SetString(key[len(prefix):])
			return x
		}
		unit := number(prefix + "1" + strings.Repeat("0", digits))
		for i, lo := range keys[:len(keys)-1] {
			hi := keys[i+1+rnd.IntN(len(keys)-i-1)]
			part, _ := new(big.Float).Quo(new(big.Float).Sub(number(hi), number(lo)), unit).Float64()
			if got, want := a.Distance(lo, hi), math.Log(part); math.Abs(got-want) > 1e-6 {
				t.Fatalf("from %q to %q: %g, want %g", lo, hi, got, want)
			}
			if d := a.Distance(hi, lo); !math.IsInf(d, -1) {
				t.Fatalf("from %q back to %q: %g, want -Inf", hi, lo, d)
			}
			rest, _ := new(big.Float).Sub(big.NewFloat(1), new(big.Float).Quo(number(lo), unit)).Float64()
			if got := a.Distance(lo, ""); math.Abs(got-math.Log(rest)) > 1e-6 && rest > 1e-9 {
				t.Fatalf("from %q to the end: %g, want %g", lo, got, math.Log(rest))
			}
		}
	}
}

func TestDistancesOfKeysThatAgreeForLong(t *testing.T) {
	var a keyspace.Alphabet
	lo, hi := strings.Repeat("7", 500)+"1", strings.Repeat("7", 500)+"3"
	a.Reset(0, lo, hi)
	if got, want := a.Distance(lo, hi), math.Log(2)-501*math.Log(10); math.Abs(got-want) > 1e-6 {
		t.Errorf("distance %g, want %g", got, want)
	}
}

// What is added is the distance that is measured then, to a few digits.
func TestAddIsTheInverseOfDistance(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 0))
	added := 0
	for range 2000 {
		keys := decimals(rnd, "", 10, 3+rnd.IntN(40))
		var a keyspace.Alphabet
		a.Reset(0, keys...)
		want := math.Log(rnd.Float64()) * float64(1+rnd.IntN(3))
		k, ok := a.Add(keys[0], want)
		if !ok {
			continue
		}
		added++
		digit := math.Pow(10, -float64(len(keys[0]))) // the last one, below which nothing is
		if got := a.Distance(keys[0], k); math.Abs(math.Exp(got)-math.Exp(want)) > 0.01*math.Exp(want)+digit {
			t.Fatalf("%q + %g = %q, which is %g above it", keys[0], want, k, got)
		}
	}
	if added < 500 {
		t.Errorf("only %d additions had room", added)
	}
}

// Whatever keys an alphabet was shown, distances grow with keys and additions are
// valid.
func TestAnyShape(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 0))
	for _, shape := range keyset.Names() {
		set := keyset.Must(shape, 100_000, 1)
		var a keyspace.Alphabet
		var h keyspace.Hull
		for round := range 50 {
			at := rnd.Int64N(set.Len() - 200)
			page := make([]string, 100)
			for i := range page {
				page[i] = set.Key(at + int64(i))
			}
			h.Add(page)
			a.Reset(keyspace.Common(page[0], page[99]), page...)
			if round%2 == 0 {
				h.Narrow(&a)
			}
			near, far := a.Distance(page[0], page[50]), a.Distance(page[0], page[99])
			if near > far+1e-9 {
				t.Fatalf("%s: %q is further from %q than %q: %g, %g", shape, page[50], page[0], page[99], near, far)
			}
			for _, times := range []float64{1, 10, 1000} {
				if k, ok := a.Add(page[99], far+math.Log(times)); ok && !utf8.ValidString(k) {
					t.Fatalf("%s: %q plus %g is %q", shape, page[99], far, k)
				}
			}
			for _, k := range a.Tops(page[99]) {
				if k <= page[99] || !utf8.ValidString(k) {
					t.Fatalf("%s: top of %q is %q", shape, page[99], k)
				}
			}
		}
	}
}

func TestHullNarrowsToWhatWasSeen(t *testing.T) {
	var h keyspace.Hull
	pages := [][]string{
		{"a/h=00", "a/h=05", "a/h=23", "b/"}, // two directories seen to their ends
		{"b/h=00", "b/h=11", "b/h=23", "c/"},
	}
	var narrow, wide keyspace.Alphabet
	wide.Reset(4, "a/h=00", "a/h=23")
	for _, page := range pages {
		h.Add(page)
	}
	narrow.Reset(4, "a/h=00", "a/h=23")
	h.Narrow(&narrow)
	if w, n := wide.Distance("a/h=20", ""), narrow.Distance("a/h=20", ""); math.Abs(w-math.Log(0.8)) > 1e-9 || n > math.Log(0.4) {
		t.Errorf("of the hours after 20 there are %.2f, and %.2f when 24 to 99 were never seen", math.Exp(w), math.Exp(n))
	}
}

// TestHullDoubtsWhatWasWrong is about small directories that say nothing about a larger one.
func TestHullDoubtsWhatWasWrong(t *testing.T) {
	var h keyspace.Hull
	left := func() float64 {
		var a keyspace.Alphabet
		a.Reset(2, "a/00", "a/99")
		h.Narrow(&a)
		return math.Exp(a.Distance("a/20", ""))
	}
	directory := func(name, last string) { h.Add([]string{name + "/00", name + "/" + last, name + "0"}) }
	directory("a", "10")
	directory("b", "20")
	if got := left(); got > 0.5 {
		t.Errorf("after 20 there is %.2f, though no directory went on", got)
	}
	if !h.Add([]string{"c/00", "c/30", "c0"}) {
		t.Error("30 is no news")
	}
	if got := left(); got < 0.7 {
		t.Errorf("after 20 there is %.2f, though what was thought to be all was not", got)
	}
	directory("d", "30")
	directory("e", "30")
	if got := left(); got > 0.6 {
		t.Errorf("after 20 there is %.2f, though four directories went no further than 30", got)
	}
}

func TestValid(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"a/b":                    "a/b",
		"é😀":                     "é😀",
		"a\xc3":                  "a\u00c0",
		"a\xe4\xb8":              "a\u4e00",
		"a\xf0":                  "a",
		"a\xf0\x9f":              "a\U0001f000",
		"a\xff":                  "a",
		"a\x80b":                 "a",
		"\xc3abcdefgh":           "",
		"a\xed\xa0":              "a", // a surrogate
		"\u4e00\xe4\xb8":         "\u4e00\u4e00",
		"a\xf4\x90\x80":          "a", // beyond the last character
		"\U0001f600\xf0\x9f\x98": "\U0001f600\U0001f600",
	} {
		if got := keyspace.Valid([]byte(in)); got != want || !utf8.ValidString(got) {
			t.Errorf("Valid(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{"a\xe4\xb8", "a", "\xb9", "\xe4aa"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := string(b)
		got := keyspace.Valid(b)
		if !utf8.ValidString(got) || string(b) != in || utf8.ValidString(in) && got != in {
			t.Errorf("Valid(%q) = %q; the bytes are now %q", in, got, b)
		}
	})
}

func TestCommon(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 0}, {"ab", "ab", 2}, {"ab", "abc", 2}, {"abd", "abc", 2}} {
		if got := keyspace.Common(tc.a, tc.b); got != tc.want {
			t.Errorf("Common(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

// The naive twin compares byte by byte. Keys agree up to any offset, and differ behind it by
// chance.
func TestCommonAgainstNaive(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 0))
	text := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.IntN(2))
		}
		return b
	}
	for range 20_000 {
		same := text(rnd.IntN(100))
		a, b := append(slices.Clone(same), text(rnd.IntN(50))...), append(slices.Clone(same), text(rnd.IntN(50))...)
		want := 0
		for want < min(len(a), len(b)) && a[want] == b[want] {
			want++
		}
		if got, text := keyspace.Common(a, b), keyspace.Common(string(a), string(b)); got != want || text != want {
			t.Fatalf("Common(%q, %q) = %d, of strings %d, want %d", a, b, got, text, want)
		}
	}
}

func TestCommonCopiesNothing(t *testing.T) {
	a, b := strings.Repeat("a", 1000), strings.Repeat("a", 999)+"b"
	if allocs := testing.AllocsPerRun(100, func() { keyspace.Common(a, b) }); allocs > 0 {
		t.Errorf("%v allocations for two strings", allocs)
	}
}

func BenchmarkCommon(b *testing.B) {
	b.ReportAllocs()
	key, next := "logs/dt=2025-04-19/hour=03/host=web-012/part-000000000-075946fd.gz", "logs/dt=2025-04-19/hour=03/host=web-012/part-000000001-14a3f7f6.gz"
	b.Run("string", func(b *testing.B) {
		for b.Loop() {
			keyspace.Common(key, next)
		}
	})
	short := []byte(key[30:])
	for name, pair := range map[string][2][]byte{"bytes": {[]byte(key), []byte(next)}, "short": {short, []byte(next[30:])}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				keyspace.Common(pair[0], pair[1])
			}
		})
	}
}

func ExampleAlphabet() {
	var a keyspace.Alphabet
	a.Reset(len("img-"), "img-0000", "img-0100")
	page := a.Distance("img-0000", "img-0100")
	fmt.Printf("%.0f pages more\n", math.Exp(a.Distance("img-0100", "")-page))
	fmt.Println(a.Add("img-0100", page+math.Log(42)))
	// Output:
	// 99 pages more
	// img-4300 true
}

func TestKeyIsTheInverseOfPlace(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 0))
	for _, shape := range keyset.Names() {
		set := keyset.Must(shape, 100_000, 1)
		for range 50 {
			checkPlaces(t, rnd, shape, set)
		}
	}
}

// checkPlaces checks the places of the keys of a page of the set, and a key at a place.
func checkPlaces(t *testing.T, rnd *rand.Rand, shape string, set keyset.Set) {
	t.Helper()
	from := rnd.Int64N(set.Len() - 100)
	page := make([]string, 100)
	for i := range page {
		page[i] = set.Key(from + int64(i))
	}
	at := keyspace.Common(page[0], page[99])
	var a keyspace.Alphabet
	a.Reset(at, page...)
	if size := a.Size(at); size < 2 || a.Size(at-1) != 0 && at > 0 || a.Size(2000) != 0 {
		t.Fatalf("%s: %d digits at the offset where %q and %q differ", shape, size, page[0], page[99])
	}
	before := -1.0
	for _, k := range page {
		place := a.Place(k, at)
		if place < before || place >= float64(a.Size(at)) {
			t.Fatalf("%s: the place of %q is %g, that of the key before %g", shape, k, place, before)
		}
		before = place
	}
	want := rnd.Float64() * float64(a.Size(at))
	k, ok := a.Key(page[0], at, want)
	if !ok || !utf8.ValidString(k) {
		t.Fatalf("%s: key %q at place %g of %q, %t", shape, k, want, page[0], ok)
	}
	if got := a.Place(k, at); isASCII(strings.Join(page, "")) && math.Abs(got-want) > 0.1 {
		t.Fatalf("%s: %q is at place %g, want %g", shape, k, got, want)
	}
	if k, ok := a.Key(page[0], at, float64(a.Size(at))); ok {
		t.Fatalf("%s: %q lies beyond all digits", shape, k)
	}
}

func isASCII(k string) bool {
	return !strings.ContainsFunc(k, func(r rune) bool { return r >= utf8.RuneSelf })
}

func TestScriptNarrowsToItsCharacters(t *testing.T) {
	var s keyspace.Script
	for _, k := range []string{"é/日", "ü/本", "ä/語"} {
		s.Add(k)
	}
	var a keyspace.Alphabet
	a.Reset(0, "é日.png", "0")
	if wide := a.Size(1); wide != 64 {
		t.Errorf("%d bytes may follow the first of é, want 64", wide)
	}
	s.Narrow(&a, "é日.png")
	if narrow := a.Size(1); narrow != 3 {
		t.Errorf("%d bytes may follow the first of é, want those of é, ü and ä", narrow)
	}
	if k, ok := a.Key("é日.png", 1, 0); !ok || k != "ä" {
		t.Errorf("the first key is %q, %t, want ä", k, ok)
	}
}
