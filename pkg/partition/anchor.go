package partition

import (
	"errors"
	"fmt"
)

// Breaks says where ranges end. lakeFS closes a range after key k once the
// table's estimated size is at least MaxSize, or at least MinSize and k is an
// anchor.
type Breaks struct {
	MinSize    uint64 `json:"min_size_bytes"` // bytes; with anything but 0 ranges depend on the partitions
	MaxSize    uint64 `json:"max_size_bytes"` // bytes; at least 1
	Raggedness uint64 `json:"raggedness"`     // mean number of keys between anchors; at least 1
}

// DefaultBreaks are lakeFS's defaults.
var DefaultBreaks = Breaks{MinSize: 0, MaxSize: 20 << 20, Raggedness: 50_000}

// Anchor reports whether key is an anchor: a key with fnv1a64(key) mod
// Raggedness == 0.
func (b Breaks) Anchor(key []byte) bool {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, 64 bits
	h := uint64(offset)
	for _, c := range key {
		h = (h ^ uint64(c)) * prime
	}
	return h%b.Raggedness == 0
}

// EndsAfter reports whether a range ends after key when its table's estimated
// size is size bytes.
func (b Breaks) EndsAfter(key []byte, size uint64) bool {
	return size >= b.MinSize && (size >= b.MaxSize || b.Anchor(key))
}

// Validate names every setting that no range can be cut with.
func (b Breaks) Validate() error {
	var errs []error
	if b.MaxSize < 1 {
		errs = append(errs, fmt.Errorf("max_size_bytes is %d: want at least 1", b.MaxSize))
	}
	if b.MinSize > b.MaxSize {
		errs = append(errs, fmt.Errorf("min_size_bytes %d exceeds max_size_bytes %d", b.MinSize, b.MaxSize))
	}
	if b.Raggedness < 1 {
		errs = append(errs, fmt.Errorf("raggedness is %d: want at least 1", b.Raggedness))
	}
	return errors.Join(errs...)
}
