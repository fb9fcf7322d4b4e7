// Package ident encodes typed items as lakeFS hashes them: the SHA-256 of items is the identity
// of an entry or a commit, and is a part of that of a table.
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

// AppendInt64 appends n to dst as an int64 item.
func AppendInt64(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, typeInt64, 8), uint64(n))
}

// AppendString appends s to dst as a string item.
func AppendString[S string | []byte](dst []byte, s S) []byte {
	return append(appendLength(append(dst, typeString), len(s)), s...)
}

// AppendStringSlice appends ss to dst as a string slice item.
func AppendStringSlice(dst []byte, ss []string) []byte {
	dst = appendLength(append(dst, typeStringSlice), len(ss))
	for _, s := range ss {
		dst = AppendString(dst, s)
	}
	return dst
}

// AppendStringMap appends m to dst as a string map item; a nil map is an empty one.
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

// AppendIdentity appends sum, the SHA-256 of other items, to dst as an identity item.
func AppendIdentity(dst, sum []byte) []byte {
	return append(appendLength(append(dst, typeIdentity, typeBytes), len(sum)), sum...)
}

func appendLength(dst []byte, n int) []byte { return AppendInt64(dst, int64(n)) }
