package table

import (
	"context"
	"fmt"
)

// File is the file of a table. A Reader reads it section by section. Its methods may be called concurrently, also by several readers.
type File interface {
	// Size returns the length of the file in bytes.
	Size() int64
	// Section returns the n bytes from an offset on, which nobody changes. The
	// caller makes sure that they lie within the file.
	Section(ctx context.Context, offset, n int64) ([]byte, error)
	// Renew forgets the bytes of a section that turned out to be damaged, and
	// reports whether Section may return others now.
	Renew(offset, n int64) bool
}

// Bytes is a file in memory.
type Bytes []byte

var _ File = Bytes(nil)

// Size implements File.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Section implements File.
func (b Bytes) Section(_ context.Context, offset, n int64) ([]byte, error) {
	if offset < 0 || n < 0 || offset > b.Size()-n {
		return nil, fmt.Errorf("read %d bytes at %d of a file of %d bytes", n, offset, len(b))
	}
	return b[offset : offset+n : offset+n], nil
}

// Renew implements File.
func (Bytes) Renew(int64, int64) bool { return false }
