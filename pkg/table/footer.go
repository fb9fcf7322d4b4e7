package table

import "encoding/binary"

// Constants of the footer.
const (
	checksumCRC32C = 1                                  // the first byte: how blocks are summed
	formatVersion  = 2                                  // of RocksDB's format
	magic          = "\xf7\xcf\xf4\x85\xb7\x41\xe2\x88" // the end of every table of RocksDB's format
)

// parseFooter returns the handles of the blocks that are read first. All blocks lie in the
// first end bytes of the file.
func parseFooter(b []byte, end int64) (metaindex, index handle, err error) {
	if got := string(b[footerSize-len(magic):]); got != magic {
		return handle{}, handle{}, corrupt("the file ends with %x, want %x", got, magic)
	}
	if got := binary.LittleEndian.Uint32(b[footerSize-len(magic)-4:]); got != formatVersion {
		return handle{}, handle{}, corrupt("format version %d, want %d", got, formatVersion)
	}
	if b[0] != checksumCRC32C {
		return handle{}, handle{}, corrupt("checksum type %d, want %d", b[0], checksumCRC32C)
	}
	metaindex, rest, err := cutHandle(b[1:], end)
	if err != nil {
		return handle{}, handle{}, corrupt("metaindex block: %w", err)
	}
	if index, _, err = cutHandle(rest, end); err != nil {
		return handle{}, handle{}, corrupt("index block: %w", err)
	}
	return metaindex, index, nil
}

// cutHandle cuts the handle of a block off b. The block and its trailer lie in
// the first end bytes of the file.
func cutHandle(b []byte, end int64) (h handle, rest []byte, err error) {
	offset, n := binary.Uvarint(b)
	if n <= 0 {
		return handle{}, nil, corrupt("a handle without an offset")
	}
	length, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return handle{}, nil, corrupt("a handle without a length")
	}
	room := uint64(max(0, end-blockTrailerSize))
	if offset > room || length > room-offset {
		return handle{}, nil, corrupt("a block of %d bytes at %d, where blocks have %d bytes in all", length, offset, end)
	}
	if length > maxBlock {
		return handle{}, nil, corrupt("a block of %d bytes at %d, want at most %d", length, offset, maxBlock)
	}
	return handle{offset: int(offset), length: int(length)}, b[n+m:], nil
}

// parseHandle parses a handle that takes all of b.
func parseHandle(b []byte, end int64) (handle, error) {
	h, rest, err := cutHandle(b, end)
	if err == nil && len(rest) > 0 {
		err = corrupt("%d bytes follow a handle", len(rest))
	}
	return h, err
}
