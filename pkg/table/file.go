package table

import (
	"context"
	"io"

	"github.com/cockroachdb/pebble/objstorage"
)

// readable is a table's file in memory, as pebble reads it. It may be read
// concurrently.
type readable []byte

var _ objstorage.Readable = readable(nil)

func (r readable) ReadAt(_ context.Context, p []byte, off int64) error {
	if off < 0 || off > int64(len(r)) || copy(p, r[off:]) < len(p) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (r readable) Close() error { return nil }

func (r readable) Size() int64 { return int64(len(r)) }

func (r readable) NewReadHandle(context.Context) objstorage.ReadHandle {
	h := objstorage.MakeNoopReadHandle(r)
	return &h
}
