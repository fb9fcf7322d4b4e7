package partition_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// naive folds covers in the plainest way: it keeps all of them, and searches for the
// chain that gets furthest from each boundary.
type naive struct{ covers []partition.Cover }

func (n *naive) add(c partition.Cover) {
	if !c.Empty() {
		n.covers = append(n.covers, c)
	}
}

// reach returns how far a chain gets from a boundary.
func (n *naive) reach(at string, known map[string]string) string {
	if far, ok := known[at]; ok {
		return far
	}
	far := at
	for _, c := range n.covers {
		if c.After != at {
			continue
		}
		if c.Upto != "" {
			far = max(far, n.reach(c.Upto, known))
		}
	}
	known[at] = far
	return far
}

func (n *naive) gaps() (gaps []partition.Span) {
	known := make(map[string]string)
	for at := ""; ; {
		at = n.reach(at, known)
		next, top, ends := "", "", false
		for _, c := range n.covers {
			top = max(top, c.Upto)
			if c.Upto != "" && c.After > at && (next == "" || c.After < next) {
				next = c.After
			}
			ends = ends || c.Upto == "" && c.After == at
		}
		switch {
		case ends && top <= at:
			return gaps
		case ends && next == "":
			next = top
		}
		gaps = append(gaps, partition.Span{After: at, Upto: next})
		if at = next; at == "" {
			return gaps
		}
	}
}

// listing returns the covers of a listing of the keys: ranges of random lengths, and a
// claim of the end.
func listing(rnd *rand.Rand, keys []string, round int) (covers []partition.Cover) {
	after := ""
	for i := 0; i < len(keys); {
		n := min(1+rnd.IntN(4), len(keys)-i)
		first, last := keys[i], keys[i+n-1]
		id := fmt.Sprintf("%064x", rnd.Uint64())
		if rnd.IntN(10) == 0 {
			id = fmt.Sprintf("no hash, of round %d", round)
		}
		r := &partition.RangeMetadata{ID: id, MinKey: first, MaxKey: last, Count: int64(n), EstimatedSize: rnd.Uint64()}
		covers = append(covers, partition.Cover{Span: partition.Span{After: after, Upto: last}, Range: r})
		after, i = last, i+n
	}
	return append(covers, partition.Cover{Span: partition.Span{After: after}})
}

// TestChainAgainstNaive lists a source that changes several times. It adds parts of the
// covers, some of them twice and in any order, to a chain and to its naive twin.
func TestChainAgainstNaive(t *testing.T) {
	rnd := seeded.Rand(t)
	for round := range 1500 {
		var chain partition.Chain
		var twin naive
		all := []partition.Cover{}
		size, often := 40, 4
		if round%30 == 0 {
			size, often = 900, 40 // runs of several blocks
		}
		keys := randomKeys(rnd, size)
		for n := range 1 + rnd.IntN(3) {
			covers := listing(rnd, keys, n)
			from := rnd.IntN(len(covers))
			part := covers[from:]
			if rnd.IntN(2) == 0 {
				part = covers[:from+1]
			}
			all = append(append(all, part...), part[:rnd.IntN(len(part)+1)]...)
			keys = slices.DeleteFunc(slices.Clone(keys), func(string) bool { return rnd.IntN(8) == 0 })
		}
		if rnd.IntN(2) == 0 {
			rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		var old partition.Fold
		var then []partition.RangeMetadata
		for i, c := range all {
			chain.Add(c)
			twin.add(c)
			if rnd.IntN(often) > 0 && i < len(all)-1 {
				continue
			}
			fold := chain.Fold()
			if want := twin.gaps(); !slices.Equal(fold.Gaps, want) {
				t.Fatalf("round %d: gaps %v, want %v, of\n%s", round, fold.Gaps, want, text(all[:i+1]))
			}
			checkChain(t, fold, twin.covers)
			if got := slices.Collect(old.All()); !slices.Equal(got, then) {
				t.Fatalf("round %d: a fold changed after it was made", round)
			}
			old, then = fold, slices.Collect(fold.All())
		}
	}
}

// checkChain checks that the ranges of a fold were added, are disjoint, and lie in no gap.
func checkChain(t *testing.T, fold partition.Fold, covers []partition.Cover) {
	t.Helper()
	var objects int64
	n, last := 0, ""
	for r := range fold.All() {
		if !slices.ContainsFunc(covers, func(c partition.Cover) bool { return c.Range != nil && *c.Range == r }) {
			t.Fatalf("range %+v never came in", r)
		}
		if r.MinKey <= last {
			t.Fatalf("range %+v after key %q", r, last)
		}
		for _, g := range fold.Gaps {
			if g.Overlaps(partition.Span{After: r.MinKey, Upto: r.MaxKey}) || contains(g, r.MaxKey) {
				t.Fatalf("range %+v in gap %v", r, g)
			}
		}
		last, n, objects = r.MaxKey, n+1, objects+r.Count
	}
	if n != fold.Ranges || objects != fold.Objects {
		t.Fatalf("%d ranges with %d objects, the fold says %d and %d", n, objects, fold.Ranges, fold.Objects)
	}
}

func text(covers []partition.Cover) string {
	var b strings.Builder
	for _, c := range covers {
		fmt.Fprintln(&b, c.Span, c.Range)
	}
	return b.String()
}

// TestNoEndWinsOverALaterKey adds covers of listings some of which end early, and checks
// that no fold is complete while it lacks ranges.
func TestNoEndWinsOverALaterKey(t *testing.T) {
	rnd := seeded.Rand(t)
	complete := 0
	for range 2000 {
		keys := randomKeys(rnd, 30)
		covers := listing(rnd, keys, 0)
		want := len(covers) - 1
		for range rnd.IntN(4) { // listings that end early, of partitions with or without an open end
			claim := partition.Cover{Span: partition.Span{After: covers[rnd.IntN(len(covers))].After}}
			if rnd.IntN(2) == 0 {
				claim.Beyond = claim.After + "x"
			}
			covers = append(covers, claim)
		}
		rnd.Shuffle(len(covers), func(i, j int) { covers[i], covers[j] = covers[j], covers[i] })
		lost := rnd.IntN(2)
		var chain partition.Chain
		for _, c := range covers[lost:] {
			chain.Add(c)
		}
		fold := chain.Fold()
		if fold.Complete() {
			complete++
			last := ""
			for r := range fold.All() {
				last = r.MaxKey
			}
			if fold.Ranges < want-lost || len(keys) > 0 && last != keys[len(keys)-1] && lost == 0 {
				t.Fatalf("%d of %d ranges, the last key is %q, of\n%s", fold.Ranges, want, last, text(covers))
			}
		}
	}
	if complete < 500 {
		t.Errorf("only %d folds were complete", complete)
	}
}

func TestAnEndThatAnotherPartitionMayKnowBetter(t *testing.T) {
	r := partition.RangeMetadata{ID: "r", MinKey: "a", MaxKey: "k", Count: 3}
	var chain partition.Chain
	chain.Add(partition.Cover{Span: partition.Span{Upto: "k"}, Range: &r})
	chain.Add(partition.Cover{Span: partition.Span{After: "k"}, Beyond: "m"})
	if f := chain.Fold(); !f.Complete() || f.Beyond != "m" {
		t.Errorf("a claim of keys up to m: gaps %v, beyond %q", f.Gaps, f.Beyond)
	}
	chain.Add(partition.Cover{Span: partition.Span{After: "k"}})
	chain.Add(partition.Cover{Span: partition.Span{After: "k"}, Beyond: "m"})
	if f := chain.Fold(); !f.Complete() || f.Beyond != "" {
		t.Errorf("a claim of all keys too: gaps %v, beyond %q", f.Gaps, f.Beyond)
	}
	later := partition.RangeMetadata{ID: "s", MinKey: "o", MaxKey: "p", Count: 1}
	chain.Add(partition.Cover{Span: partition.Span{After: "n", Upto: "p"}, Range: &later})
	if f := chain.Fold(); !slices.Equal(f.Gaps, []partition.Span{{After: "k", Upto: "n"}, {After: "p"}}) {
		t.Errorf("after a later key came in there are the gaps %v", f.Gaps)
	}
}

// synthetic yields the covers of an import of n ranges as they arrive from so many
// workers at the same time, each in key order.
func synthetic(n, workers int, yield func(partition.Cover)) {
	key := func(i int) string {
		return fmt.Sprintf("warehouse/events/year=2026/month=%02d/day=%02d/part-%09d.snappy.parquet", 1+i*12/n, 1+i*336/n%28, i)
	}
	each := n / workers
	for i := range each {
		for w := range workers {
			k := w*each + i
			c := partition.Cover{Span: partition.Span{After: key(2 * k), Upto: key(2*k + 2)}, Range: &partition.RangeMetadata{
				ID:     fmt.Sprintf("%016x%016x%016x%016x", uint64(k)*0x9e3779b97f4a7c15, k, uint64(k)*0xbf58476d1ce4e5b9, k),
				MinKey: key(2*k + 1), MaxKey: key(2*k + 2), Count: 50_000 + int64(k%9973), EstimatedSize: 3<<20 + uint64(k%65537),
			}}
			if k == 0 {
				c.After = ""
			}
			yield(c)
			if k == n-1 {
				yield(partition.Cover{Span: partition.Span{After: c.Upto}})
			}
		}
	}
}

// heap returns the bytes of live objects.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A cover that contradicts itself covers nothing. One whose range ended nowhere once had a
// fold go round for ever.
func TestCoversThatContradictThemselves(t *testing.T) {
	good := partition.RangeMetadata{ID: "id", MinKey: "b", MaxKey: "c", Count: 2}
	with := func(change func(*partition.Cover)) partition.Cover {
		r := good
		c := partition.Cover{Span: partition.Span{Upto: "c"}, Range: &r}
		change(&c)
		return c
	}
	for name, c := range map[string]partition.Cover{
		"no end":                with(func(c *partition.Cover) { c.Upto = "" }),
		"another end":           with(func(c *partition.Cover) { c.Upto = "d" }),
		"a key before its span": with(func(c *partition.Cover) { c.After = "b" }),
		"keys out of order":     with(func(c *partition.Cover) { c.Range.MinKey = "d" }),
		"no keys":               with(func(c *partition.Cover) { c.Range.Count = 0 }),
	} {
		var chain partition.Chain
		chain.Add(c)
		chain.Add(partition.Cover{Span: partition.Span{After: "c"}})
		if fold := chain.Fold(); fold.Ranges != 0 || len(fold.Gaps) == 0 || fold.Gaps[0].After != "" {
			t.Errorf("%s: %d ranges, gaps %v", name, fold.Ranges, fold.Gaps)
		}
	}
	var chain partition.Chain
	chain.Add(with(func(*partition.Cover) {}))
	chain.Add(partition.Cover{Span: partition.Span{After: "c"}})
	if fold := chain.Fold(); !fold.Complete() || fold.Ranges != 1 {
		t.Errorf("a sound cover: %d ranges, gaps %v", fold.Ranges, fold.Gaps)
	}
}

// TestChainIsSmall bounds the memory of a cover, which determines that of a coordinator:
// 5 * 10^10 keys make about 10^6 covers.
func TestChainIsSmall(t *testing.T) {
	const n, bound = 200_000, 110
	before := heap()
	var chain partition.Chain
	synthetic(n, 100, chain.Add)
	fold := chain.Fold()
	took := heap() - before
	if !fold.Complete() || fold.Ranges != n {
		t.Fatalf("%d ranges, gaps %v", fold.Ranges, fold.Gaps)
	}
	t.Logf("%d bytes a cover; Bytes returns %d", took/n, chain.Bytes()/n)
	if took/n > bound {
		t.Errorf("%d bytes a cover, want at most %d", took/n, bound)
	}
	if told := uint64(chain.Bytes()); told < took*8/10 || told > took*12/10 {
		t.Errorf("Bytes returns %d, and the chain takes %d", told, took)
	}
	runtime.KeepAlive(&chain)
}

func BenchmarkChain(b *testing.B) {
	for range b.N {
		var chain partition.Chain
		synthetic(100_000, 100, chain.Add)
		if fold := chain.Fold(); fold.Ranges != 100_000 {
			b.Fatal(fold.Ranges)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/cover")
}
