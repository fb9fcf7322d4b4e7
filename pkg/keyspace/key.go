package keyspace

import "unicode/utf8"

// Common returns the length of the longest common prefix of a and b, in bytes.
func Common[K string | []byte](a, b K) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// Valid returns b as valid UTF-8: a character that is cut off is completed
// with its least continuation, bytes that are no character end the key.
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
