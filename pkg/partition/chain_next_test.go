package partition_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Next and Overlaps are those of a plain list of covers, which do not contradict each other.
func TestNextAndOverlapsAgainstNaive(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 0))
	for range 300 {
		keys := randomKeys(rnd, 2+rnd.IntN(60))
		var all []partition.Cover
		for _, c := range listing(rnd, keys, 0) {
			if c.Range != nil && rnd.IntN(4) > 0 {
				all = append(all, c)
			}
		}
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var chain partition.Chain
		for _, c := range all {
			chain.Add(c)
		}
		for range 50 {
			s := partition.Span{After: keys[rnd.IntN(len(keys))], Upto: keys[rnd.IntN(len(keys))]}
			if rnd.IntN(5) == 0 {
				s.After = ""
			}
			i := slices.IndexFunc(all, func(c partition.Cover) bool { return c.After == s.After })
			if got, ok := chain.Next(s.After); ok != (i >= 0) || ok && (got.Span != all[i].Span || got.Range.ID != all[i].Range.ID) {
				t.Fatalf("after %q: %+v, %v; want number %d of\n%s", s.After, got, ok, i, text(all))
			}
			want := slices.ContainsFunc(all, func(c partition.Cover) bool { return c.Overlaps(s) })
			if got := chain.Overlaps(s); got != want {
				t.Fatalf("%v overlaps: %v, want %v, of\n%s", s, got, want, text(all))
			}
		}
	}
}
