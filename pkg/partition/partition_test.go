package partition_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// randomKeys returns up to n sorted distinct keys over a small alphabet, many of
// them prefixes of others.
func randomKeys(rnd *rand.Rand, n int) []string {
	keys := make([]string, 0, n)
	for range n {
		var b strings.Builder
		for range 1 + rnd.IntN(5) {
			b.WriteRune([]rune("ab/0é😀")[rnd.IntN(6)])
		}
		keys = append(keys, b.String())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// The size of a toy range is its number of keys.
func toyRange(keys []string) *partition.RangeMetadata {
	return &partition.RangeMetadata{
		ID: strings.Join(keys, ","), MinKey: keys[0], MaxKey: keys[len(keys)-1],
		Count: int64(len(keys)), EstimatedSize: uint64(len(keys)),
	}
}

// canonical is the naive twin: one writer over all keys.
func canonical(keys []string, breaks partition.Breaks) []partition.RangeMetadata {
	var ranges []partition.RangeMetadata
	var open []string
	for i, k := range keys {
		open = append(open, k)
		if breaks.EndsAfter([]byte(k), uint64(len(open))) || i == len(keys)-1 {
			ranges = append(ranges, *toyRange(open))
			open = nil
		}
	}
	return ranges
}

// work does what a worker does with one partition of keys, page by page, and
// returns its covers. It stops after `limit` covers, as if it had died.
func work(p partition.Partition, keys []string, page int, breaks partition.Breaks, limit int) (covers []partition.Cover) {
	i, found := slices.BinarySearch(keys, p.After)
	if found {
		i++
	}
	keys = keys[i:]
	owned := p.Owned(breaks)
	var open []string
	at, _ := owned.Start()
	closeRange := func() {
		r := toyRange(open)
		covers = append(covers, partition.Cover{Span: partition.Span{After: at, Upto: r.MaxKey}, Range: r})
		at, open = r.MaxKey, nil
	}
	for len(keys) > 0 {
		n := min(page, len(keys))
		from, to, end := owned.Take(n, func(i int) []byte { return []byte(keys[i]) })
		if start, known := owned.Start(); known && at < start {
			at = start
		}
		for _, k := range keys[from:to] {
			open = append(open, k)
			if breaks.EndsAfter([]byte(k), uint64(len(open))) {
				closeRange()
				if len(covers) == limit || owned.EndsWith([]byte(k)) {
					return covers
				}
			}
		}
		if end {
			if len(open) > 0 {
				closeRange()
			}
			return covers
		}
		keys = keys[n:]
	}
	if len(open) > 0 {
		closeRange()
	}
	if _, known := owned.Start(); known {
		covers = append(covers, partition.Cover{Span: partition.Span{After: at}})
	}
	return covers
}

func TestAnyCutsGiveTheCanonicalRanges(t *testing.T) {
	rnd := seeded.Rand(t)
	for round := range 2000 {
		keys := randomKeys(rnd, rnd.IntN(200))
		breaks := partition.Breaks{MaxSize: 1 + uint64(rnd.IntN(12)), Raggedness: 1 + uint64(rnd.IntN(12))}
		cuts := randomKeys(rnd, rnd.IntN(6)) // some exist as keys, some are anchors, some both
		var chain partition.Chain
		for _, p := range rangetest.Plan("i", cuts) {
			for _, c := range work(p, keys, 1+rnd.IntN(9), breaks, -1) {
				chain.Add(c)
			}
		}
		fold := chain.Fold()
		if !fold.Complete() {
			t.Fatalf("round %d: gaps %v with cuts %q, breaks %+v, keys %q", round, fold.Gaps, cuts, breaks, keys)
		}
		if want := canonical(keys, breaks); !slices.Equal(slices.Collect(fold.All()), want) {
			t.Fatalf("round %d: ranges\n%v, want\n%v\nwith cuts %q", round, slices.Collect(fold.All()), want, cuts)
		}
	}
}

// Every delivery may die after any cover, come twice, or be lost. Gaps are queued again
// until the chain is complete.
func TestCrashesAndLossesAreRepaired(t *testing.T) {
	rnd := seeded.Rand(t)
	for round := range 1000 {
		keys := randomKeys(rnd, rnd.IntN(200))
		breaks := partition.Breaks{MaxSize: 1 + uint64(rnd.IntN(12)), Raggedness: 1 + uint64(rnd.IntN(12))}
		var chain partition.Chain
		var delivered []partition.Cover
		queue := rangetest.Plan("i", randomKeys(rnd, rnd.IntN(6)))
		for deliveries := 0; ; deliveries++ {
			if deliveries > 10_000 {
				t.Fatalf("round %d does not end", round)
			}
			if len(queue) == 0 {
				fold := chain.Fold()
				if fold.Complete() {
					if want := canonical(keys, breaks); !slices.Equal(slices.Collect(fold.All()), want) {
						t.Fatalf("round %d: ranges\n%v, want\n%v", round, slices.Collect(fold.All()), want)
					}
					break
				}
				queue = partition.Uncovered("i", fold.Gaps, nil)
				continue
			}
			p := queue[0]
			queue = queue[1:]
			limit := -1
			switch rnd.IntN(4) {
			case 0:
				continue // lost
			case 1:
				limit = 1 + rnd.IntN(3) // dies
			}
			covers := work(p, keys, 1+rnd.IntN(9), breaks, limit)
			for _, c := range covers {
				chain.Add(c)
				delivered = append(delivered, c)
			}
			if limit > 0 && len(covers) == limit {
				if rest, left := p.Resume(covers[len(covers)-1], breaks); left {
					queue = append(queue, rest)
				}
			}
			if len(delivered) > 0 && rnd.IntN(3) == 0 {
				chain.Add(delivered[rnd.IntN(len(delivered))]) // twice
			}
		}
	}
}

func TestHandOver(t *testing.T) {
	rnd := seeded.Rand(t)
	for range 1000 {
		keys := randomKeys(rnd, 100)
		breaks := partition.Breaks{MaxSize: 5, Raggedness: 4}
		cut := keys[rnd.IntN(len(keys))] + "a"
		whole := partition.Whole("i")
		lower, upper := whole, partition.New("i", partition.Span{After: cut}, false, false)
		lower.Upto = cut
		var chain partition.Chain
		for _, p := range []partition.Partition{upper, lower} {
			for _, c := range work(p, keys, 7, breaks, -1) {
				chain.Add(c)
			}
		}
		if got, want := slices.Collect(chain.Fold().All()), canonical(keys, breaks); !slices.Equal(got, want) {
			t.Fatalf("cut %q: ranges\n%v, want\n%v", cut, got, want)
		}
	}
}

func TestChangedSourceStillChains(t *testing.T) {
	rnd := seeded.Rand(t)
	for round := range 500 {
		breaks := partition.Breaks{MaxSize: 4, Raggedness: 3}
		keys := randomKeys(rnd, 150)
		var chain partition.Chain
		queue := rangetest.Plan("i", randomKeys(rnd, 5))
		for tries := 0; len(queue) > 0; tries++ {
			if tries > 1000 {
				t.Fatalf("round %d does not end", round)
			}
			for _, p := range queue {
				for _, c := range work(p, keys, 9, breaks, -1) {
					chain.Add(c)
				}
				if tries < 5 && len(keys) > 2 { // the source loses a key between two listings
					i := rnd.IntN(len(keys))
					keys = slices.Delete(slices.Clone(keys), i, i+1)
				}
			}
			queue = partition.Uncovered("i", chain.Fold().Gaps, nil)
		}
		last := ""
		for r := range chain.Fold().All() {
			if r.MinKey <= last || r.MaxKey < r.MinKey {
				t.Fatalf("round %d: range %v after key %q", round, r, last)
			}
			last = r.MaxKey
		}
	}
}

func TestUncoveredLeavesOutWhatIsOutstanding(t *testing.T) {
	gaps := []partition.Span{{After: "", Upto: "c"}, {After: "g", Upto: "k"}, {After: "p"}}
	uncovered := func(span partition.Span, uptoAligned bool) string {
		parts := partition.Uncovered("i", gaps, []partition.Partition{partition.New("i", span, true, uptoAligned)})
		var spans []string
		for _, p := range parts {
			if !p.Aligned || p.UptoAligned != (p.Upto != "") {
				t.Errorf("partition %+v of a gap is not aligned", p)
			}
			spans = append(spans, p.Span.String())
		}
		return strings.Join(spans, " ")
	}
	for _, tc := range []struct {
		span        partition.Span
		uptoAligned bool
		want        string
	}{
		{partition.Span{After: "a", Upto: "b"}, true, `("g", "k"] ("p", +inf]`},
		{partition.Span{After: "c", Upto: "d"}, true, `(-inf, "c"] ("g", "k"] ("p", +inf]`},
		{partition.Span{After: "c", Upto: "d"}, false, `(-inf, "c"] ("p", +inf]`}, // writes on into (g, k]
		{partition.Span{After: "b", Upto: "h"}, true, `("p", +inf]`},
		{partition.Span{After: "x"}, false, `(-inf, "c"] ("g", "k"]`},
	} {
		if got := uncovered(tc.span, tc.uptoAligned); got != tc.want {
			t.Errorf("with %v running (aligned end %t) published %s, want %s", tc.span, tc.uptoAligned, got, tc.want)
		}
	}
}

// contains is the definition of a span.
func contains(s partition.Span, key string) bool {
	return key > s.After && (s.Upto == "" || key <= s.Upto)
}

func TestSpan(t *testing.T) {
	rnd := seeded.Rand(t)
	key := func() string { return []string{"", "a", "b", "c", "d"}[rnd.IntN(5)] }
	probes := []string{"a", "aa", "b", "bb", "c", "cc", "d", "dd"}
	for range 5000 {
		a, b := partition.Span{After: key(), Upto: key()}, partition.Span{After: key(), Upto: key()}
		both := false
		for _, k := range append(probes, "0") {
			both = both || contains(a, k) && contains(b, k)
		}
		if a.Overlaps(b) != both {
			t.Fatalf("%v overlaps %v: %t, want %t", a, b, a.Overlaps(b), both)
		}
	}
}

func ExampleWhole() {
	whole := partition.Whole("import")
	fmt.Println(whole.Span)
	for _, p := range whole.Owned(partition.DefaultBreaks).Pieces([]string{"k", "t"}) {
		fmt.Println(p.Span)
	}
	// Output:
	// (-inf, +inf]
	// ("k", "t"]
	// ("t", +inf]
}
