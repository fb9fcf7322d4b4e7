package keyspace

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Common returns the length of the longest common prefix of a and b, in bytes.
func Common[K string | []byte](a, b K) int {
	return common([]byte(a), []byte(b)) // without a copy, for common changes neither
}

func common(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+32 <= n; i += 32 {
		x, y := a[i:i+32], b[i:i+32]
		diff := binary.LittleEndian.Uint64(x) ^ binary.LittleEndian.Uint64(y)
		diff |= binary.LittleEndian.Uint64(x[8:]) ^ binary.LittleEndian.Uint64(y[8:])
		diff |= binary.LittleEndian.Uint64(x[16:]) ^ binary.LittleEndian.Uint64(y[16:])
		diff |= binary.LittleEndian.Uint64(x[24:]) ^ binary.LittleEndian.Uint64(y[24:])
		if diff != 0 {
			break
		}
	}
	for ; i+8 <= n; i += 8 {
		if diff := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); diff != 0 {
			return i + bits.TrailingZeros64(diff)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// Valid returns b as valid UTF-8: a character that is cut off at the end is completed with its
// least continuation, and the key ends before any other invalid byte.
func Valid(b []byte) string {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r != utf8.RuneError || n > 1 {
			i += n
			continue
		}
		for range utf8.UTFMax - 1 {
			if i+4 < len(b) { // not at the end: no completing
				break
			}
			b = append(b[:len(b):len(b)], 0x80)
			if utf8.Valid(b[i:]) {
				return string(b)
			}
		}
		return string(b[:i])
	}
	return string(b)
}
