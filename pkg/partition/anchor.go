package partition

import (
	"bytes"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// Breaks says where ranges end, as lakeFS does: after key k, if the table's estimated
// size is at least MaxSize, or if it is at least MinSize and k is an anchor.
type Breaks struct {
	MinSize    uint64 `json:"min_size_bytes"` // bytes; unless it is 0, ranges depend on how an import is partitioned
	MaxSize    uint64 `json:"max_size_bytes"` // bytes; at least 1
	Raggedness uint64 `json:"raggedness"`     // mean number of keys between anchors; at least 1
}

// DefaultBreaks are lakeFS's defaults.
var DefaultBreaks = Breaks{MinSize: 0, MaxSize: 20 << 20, Raggedness: 50_000}

// Anchor reports whether key is an anchor: a key with fnv1a64(key) mod
// Raggedness == 0.
func (b Breaks) Anchor(key []byte) bool { return fnv1a(fnvOffset, key)%b.Raggedness == 0 }

// Anchors appends to dst, for each of n keys, whether it is an anchor. It takes
// a third of the time of Anchor, or less if the keys are in order: then the prefix that
// the first and the last key share is hashed once. A hash is one long chain of
// multiplications, and a processor computes four chains side by side.
func (b Breaks) Anchors(dst []bool, n int, key func(int) []byte) []bool {
	if n == 0 {
		return dst
	}
	first, last := key(0), key(n-1)
	head := first[:keyspace.Common(first, last)]
	headHash := fnv1a(fnvOffset, head)
	var hashes [4]uint64
	for i := 0; i < n; i += len(hashes) {
		var rests [len(hashes)][]byte
		same := true
		for j := range min(len(rests), n-i) {
			var ok bool
			rests[j], ok = bytes.CutPrefix(key(i+j), head)
			same = same && ok
		}
		if hashes = fnv1a4(headHash, rests); !same { // they are not in order
			for j := range min(len(rests), n-i) {
				hashes[j] = fnv1a(fnvOffset, key(i+j))
			}
		}
		for _, h := range hashes[:min(len(hashes), n-i)] {
			dst = append(dst, h%b.Raggedness == 0)
		}
	}
	return dst
}

// EndsAfter reports whether a range ends after key when its table's estimated
// size is size bytes.
func (b Breaks) EndsAfter(key []byte, size uint64) bool { return b.Ends(b.Anchor(key), size) }

// Ends is EndsAfter for a key that is known to be an anchor or not.
func (b Breaks) Ends(anchor bool, size uint64) bool {
	return size >= b.MinSize && (anchor || size >= b.MaxSize)
}

// FNV-1a, 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// fnv1a continues the hash h with key.
func fnv1a(h uint64, key []byte) uint64 {
	for _, c := range key {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

// fnv1a4 continues the hash h with each of four keys.
func fnv1a4(h uint64, keys [4][]byte) [4]uint64 {
	a, b, c, d := keys[0], keys[1], keys[2], keys[3]
	n := min(len(a), len(b), len(c), len(d))
	b0, c0, d0 := b[:n], c[:n], d[:n]
	ha, hb, hc, hd := h, h, h, h
	for i, x := range a[:n] {
		ha = (ha ^ uint64(x)) * fnvPrime
		hb = (hb ^ uint64(b0[i])) * fnvPrime
		hc = (hc ^ uint64(c0[i])) * fnvPrime
		hd = (hd ^ uint64(d0[i])) * fnvPrime
	}
	return [4]uint64{fnv1a(ha, a[n:]), fnv1a(hb, b[n:]), fnv1a(hc, c[n:]), fnv1a(hd, d[n:])}
}
