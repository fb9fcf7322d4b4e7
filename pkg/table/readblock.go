package table

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/golang/snappy"
)

// maxBlock is the largest size of a block in bytes, compressed or not. Blocks have about
// 4 KiB; those of one large record, and the index of the parts of an index, are larger.
const maxBlock = 16 << 20

// maxValue is the greatest length of a value in bytes, so that its record fits in a block.
const maxValue = maxBlock - 4*maxKey

// maxRatio is the greatest ratio of Snappy: a copy of up to 64 bytes takes 3 bytes, and
// one of up to 11 bytes takes 2.
const maxRatio = 22

// maxKey is the greatest length of a key in bytes. A record of four bytes may repeat
// nearly all of the key before it: the bound limits how long a small block takes to read.
const maxKey = 8 << 10

// readBlock returns the decompressed content of a block, in the memory of dst if that is
// large enough.
func readBlock(ctx context.Context, f File, h handle, dst []byte) ([]byte, error) {
	offset, n := int64(h.offset), int64(h.length+blockTrailerSize)
	var tries rereads
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sealed, err := f.Section(ctx, offset, n)
		if err != nil {
			return nil, err
		}
		content, err := unseal(sealed, dst)
		if err == nil {
			return content, nil
		}
		err = fmt.Errorf("block of %d bytes at %d: %w", h.length, h.offset, err)
		if err = tries.again(sealed, err, func() bool { return f.Renew(offset, n) }); err != nil {
			return nil, err
		}
	}
}

// unseal checks a block and its trailer and returns the content.
func unseal(sealed, dst []byte) ([]byte, error) {
	n := len(sealed) - blockTrailerSize
	if got, want := binary.LittleEndian.Uint32(sealed[n+1:]), blockSum(sealed[:n+1]); got != want {
		return nil, corrupt("checksum %08x, want %08x", got, want)
	}
	switch kind := sealed[n]; kind {
	case blockPlain:
		return append(dst[:0], sealed[:n]...), nil
	case blockSnappy:
		return decompress(sealed[:n], dst)
	default:
		return nil, corrupt("compression %d, want none or Snappy", kind)
	}
}

// decompress decompresses a block into dst if that is large enough.
func decompress(b, dst []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(b)
	if err != nil {
		return nil, corrupt("Snappy: %w", err)
	}
	if n > maxBlock || n > maxRatio*len(b) {
		return nil, corrupt("%d bytes of Snappy claim to be %d", len(b), n)
	}
	content, err := snappy.Decode(dst[:cap(dst)], b)
	if err != nil {
		return nil, corrupt("Snappy: %w", err)
	}
	return content, nil
}
