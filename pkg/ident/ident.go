// Package ident computes content identities: the SHA-256 of typed items, in the encoding in
// which lakeFS hashes entries, commits and table properties.
//
// Every item starts with one type byte, so that no two sequences of items have
// the same encoding:
//
//	int64         2, 8, then 8 bytes big endian
//	bytes         0, the length as an int64 item, the bytes
//	string        1, the length as an int64 item, the bytes
//	string slice  3, the length as an int64 item, every element as a string item
//	string map    4, the length as an int64 item, every key and its value as string items, sorted by key
//	identity      5, the sum of other items as a bytes item
package ident

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// Type bytes of the items.
const (
	typeBytes       = 0
	typeString      = 1
	typeInt64       = 2
	typeStringSlice = 3
	typeStringMap   = 4
	typeIdentity    = 5
)

// Writer collects items and hashes them. The zero value has no items and is ready to use.
// Methods return the writer itself, for chaining. It must not be used concurrently.
type Writer struct{ items []byte }

// Bytes adds b as a bytes item.
func (w *Writer) Bytes(b []byte) *Writer {
	w.items = appendLength(append(w.items, typeBytes), len(b))
	w.items = append(w.items, b...)
	return w
}

// String adds s as a string item.
func (w *Writer) String(s string) *Writer {
	w.items = AppendString(w.items, s)
	return w
}

// Int64 adds n as an int64 item.
func (w *Writer) Int64(n int64) *Writer {
	w.items = AppendInt64(w.items, n)
	return w
}

// StringSlice adds ss as a string slice item.
func (w *Writer) StringSlice(ss []string) *Writer {
	w.items = appendLength(append(w.items, typeStringSlice), len(ss))
	for _, s := range ss {
		w.items = AppendString(w.items, s)
	}
	return w
}

// StringMap adds m as a string map item; a nil map is an empty one.
func (w *Writer) StringMap(m map[string]string) *Writer {
	w.items = AppendStringMap(w.items, m)
	return w
}

// Identity adds sum, the Sum of another writer, as an identity item.
func (w *Writer) Identity(sum []byte) *Writer {
	w.items = append(w.items, typeIdentity)
	return w.Bytes(sum)
}

// Sum returns the SHA-256 of all items so far, 32 bytes.
func (w *Writer) Sum() []byte {
	sum := sha256.Sum256(w.items)
	return sum[:]
}

// AppendInt64 appends n to dst as an int64 item.
func AppendInt64(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, typeInt64, 8), uint64(n))
}

// AppendString appends s to dst as a string item.
func AppendString[S string | []byte](dst []byte, s S) []byte {
	return append(appendLength(append(dst, typeString), len(s)), s...)
}

// AppendStringMap appends m to dst as a string map item; a nil map is an empty
// one.
func AppendStringMap(dst []byte, m map[string]string) []byte {
	dst = appendLength(append(dst, typeStringMap), len(m))
	if len(m) == 0 {
		return dst // entries of imports have no metadata: avoid an allocation for each
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		dst = AppendString(AppendString(dst, k), m[k])
	}
	return dst
}

func appendLength(dst []byte, n int) []byte { return AppendInt64(dst, int64(n)) }
