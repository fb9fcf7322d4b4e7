package partition_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Anchors agrees with the standard library's FNV-1a for any number of keys of any length.
func TestAnchorsAreThoseOfTheTwin(t *testing.T) {
	rnd := seeded.Rand(t)
	found := 0
	for range 3000 {
		keys, head := make([][]byte, rnd.IntN(40)), make([]byte, rnd.IntN(20))
		for i := range keys {
			keys[i] = make([]byte, rnd.IntN(60))
			for j := range keys[i] {
				keys[i][j] = byte(rnd.Uint32())
			}
			if rnd.IntN(6) > 0 {
				keys[i] = append(head[:len(head):len(head)], keys[i]...)
			}
		}
		if rnd.IntN(2) == 0 {
			slices.SortFunc(keys, bytes.Compare)
		}
		breaks := partition.Breaks{Raggedness: 1 + rnd.Uint64N(20)}
		want := []bool{true} // what is in dst stays
		for _, key := range keys {
			h := fnv.New64a()
			h.Write(key)
			anchor := h.Sum64()%breaks.Raggedness == 0
			if breaks.Anchor(key) != anchor {
				t.Fatalf("%+v: key %q is an anchor: %t, want %t", breaks, key, !anchor, anchor)
			}
			if want = append(want, anchor); anchor {
				found++
			}
		}
		got := breaks.Anchors([]bool{true}, len(keys), func(i int) []byte { return keys[i] })
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: anchors of keys %q are %t, want %t", breaks, keys, got, want)
		}
	}
	if found == 0 {
		t.Error("no key was an anchor")
	}
}

// BenchmarkAnchors finds the anchors among 1,000 keys of 80 bytes. ns/op are per key.
func BenchmarkAnchors(b *testing.B) {
	keys := make([][]byte, 1000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "collections/year=2024/month=05/day=12/part-%05d-%016x.snappy.parquet", i, uint64(i)*0x9e3779b97f4a7c15)
	}
	b.Run("together", func(b *testing.B) {
		var anchors []bool
		for i := 0; b.Loop(); i++ {
			if i%len(keys) == 0 {
				anchors = partition.DefaultBreaks.Anchors(anchors[:0], len(keys), func(i int) []byte { return keys[i] })
			}
		}
	})
	b.Run("alone", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			partition.DefaultBreaks.Anchor(keys[i%len(keys)])
		}
	})
}
