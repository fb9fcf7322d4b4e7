package table

import (
	"encoding/binary"
	"math/bits"
)

// Sizes of blocks before compression, in bytes: pebble's defaults. A block larger than
// blockEnough ends before a record that would make it larger than blockSize.
const (
	blockSize   = 4096
	blockEnough = (blockSize*90 + 99) / 100 // 90 %, rounded up
)

// Records from one restart point of a block to the next.
const (
	everyRecord     = 1       // in indexes, which are searched
	everySixteenth  = 16      // in data blocks
	onlyFirstRecord = 1 << 30 // in properties, which are read as a whole
)

// block collects the records of one block, in key order. Apart from every, which is set
// once, the zero value is an empty block.
type block struct {
	every    int      // records from one restart point to the next
	buf      []byte   // the records
	restarts []uint32 // offsets of the restart points in buf
	count    int      // records
	next     int      // the count at which the next restart point is due
}

// add appends a record. The first shared bytes of its key are equal to those of the key
// before it.
func (b *block) add(key []byte, shared int, value []byte) {
	if b.count == b.next {
		shared = 0
		b.next += b.every
		b.restarts = append(b.restarts, uint32(len(b.buf)))
	}
	b.count++
	buf := appendUvarint(b.buf, uint64(shared))
	buf = appendUvarint(buf, uint64(len(key)-shared))
	buf = appendUvarint(buf, uint64(len(value)))
	b.buf = append(append(buf, key[shared:]...), value...)
}

// size returns the size that the block would have if it ended now, without compression.
func (b *block) size() int { return len(b.buf) + 4*len(b.restarts) + 4 }

// full reports whether the block ends before a record with a key and a value of
// these lengths.
func (b *block) full(key, value int) bool {
	size := b.size()
	if b.count == 0 || size <= blockEnough {
		return false
	}
	size += 4 + uvarintLen(uint64(key)) + uvarintLen(uint64(value)) + key + value // as if the length of what is shared took 4 bytes
	if b.count == b.next {
		size += 4
	}
	return size > blockSize
}

// finish empties the block and returns its content, which lives until the next add.
func (b *block) finish() []byte {
	if b.count == 0 {
		b.restarts = append(b.restarts, 0) // the format wants one
	}
	content := b.buf
	for _, at := range b.restarts {
		content = binary.LittleEndian.AppendUint32(content, at)
	}
	content = binary.LittleEndian.AppendUint32(content, uint32(len(b.restarts)))
	b.buf = content
	b.reset()
	return content
}

// reset drops the records and keeps the memory.
func (b *block) reset() {
	*b = block{every: b.every, buf: b.buf[:0], restarts: b.restarts[:0]}
}

// appendUvarint is binary.AppendUvarint, inlined for small numbers, which are the most
// frequent ones.
func appendUvarint(dst []byte, n uint64) []byte {
	if n < 0x80 {
		return append(dst, byte(n))
	}
	return binary.AppendUvarint(dst, n)
}

// uvarintLen returns how many bytes n takes as an unsigned varint.
func uvarintLen(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }
