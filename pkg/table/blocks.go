package table

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/golang/snappy"
)

// blockTrailerSize is how many bytes follow each block: its type and a checksum.
const blockTrailerSize = 5

// Types of blocks.
const (
	blockPlain  = 0
	blockSnappy = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// handle is the place of a block in the file, without its trailer.
type handle struct{ offset, length int }

// maxHandle is the greatest length of a handle, two varints of 64 bits, which block.full
// reckons with.
const maxHandle = 2 * binary.MaxVarintLen64

func (h handle) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(h.offset)), uint64(h.length))
}

// blocks are finished blocks, each with its trailer.
type blocks []byte

// compress appends a block, compressed with Snappy if that saves more than an eighth. The
// output of golang/snappy is part of the format, because its size decides where ranges
// end.
func (b *blocks) compress(content []byte) handle {
	at, room := len(*b), snappy.MaxEncodedLen(len(content))
	if cap(*b)-at < room+blockTrailerSize {
		*b = slices.Grow(*b, max(room+blockTrailerSize, at)) // doubles; append would add a quarter
	}
	n := len(snappy.Encode((*b)[at:at+room], content))
	if n >= len(content)-len(content)/8 {
		return b.write(content)
	}
	*b = (*b)[:at+n]
	return b.seal(at, blockSnappy)
}

// write appends a block without compression.
func (b *blocks) write(content []byte) handle {
	at := len(*b)
	*b = append(*b, content...)
	return b.seal(at, blockPlain)
}

// seal writes the trailer of the block that begins at an offset.
func (b *blocks) seal(at int, kind byte) handle {
	h := handle{at, len(*b) - at}
	sealed := append(*b, kind)
	*b = binary.LittleEndian.AppendUint32(sealed, blockSum(sealed[at:]))
	return h
}

// blockSum returns the checksum of a block and its type: CRC-32C, masked because the
// checksum of data that holds checksums is a weak one.
func blockSum(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
