package entry

import "encoding/binary"

// ASCII reports whether all text of the batch is ASCII, and so valid UTF-8. It reads each
// column as a whole, which costs a fraction of reading text by text.
func (b Batch) ASCII() bool {
	if b.Len() == 0 {
		return true
	}
	for _, t := range []*texts{&b.block.key, &b.block.address, &b.block.etag} {
		if !ascii(t.data[t.ends[b.from]:t.ends[b.from+b.n]]) {
			return false
		}
	}
	return true
}

func ascii(text []byte) bool {
	const high = 0x8080808080808080 // the bits that no ASCII byte has
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(text[at:]) }
	for ; len(text) >= 32; text = text[32:] {
		if (word(0)|word(8)|word(16)|word(24))&high != 0 {
			return false
		}
	}
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
