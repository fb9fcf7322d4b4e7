package metarange

import (
	"context"
	"fmt"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/table"
)

// Opener opens files for random access.
type Opener interface {
	Open(ctx context.Context, id string) (table.File, error)
}

// Parts are files that are read in parts.
type Parts interface {
	// GetRange returns the n bytes from an offset on, or as many as there are, and the
	// size of the file. It may be called concurrently.
	GetRange(ctx context.Context, id string, offset, n int64) (part []byte, size int64, err error)
}

// windowSize is how many bytes of a file are read at a time when it is read from front to
// back.
const windowSize = 4 << 20

// Windows returns an Opener of files that are read from front to back. It keeps two parts
// of 4 MiB of each open file: one with records, and one with the index.
func Windows(files Parts) Opener { return windows{files} }

type windows struct{ files Parts }

// Open implements Opener.
func (w windows) Open(ctx context.Context, id string) (table.File, error) {
	part, size, err := w.files.GetRange(ctx, id, 0, windowSize)
	if err != nil {
		return nil, err
	}
	return &windowed{files: w.files, id: id, size: size, used: window{data: part}}, nil
}

// endSize is how many bytes of a file describe it: the properties, with two keys, and what
// points to them.
const endSize = 8 << 10

// openEnd opens a file with its end in memory.
func openEnd(ctx context.Context, files Parts, id string) (table.File, error) {
	end, size, err := files.GetRange(ctx, id, 0, 1)
	if err != nil {
		return nil, err
	}
	f := &windowed{files: files, id: id, size: size, used: window{data: end}}
	if size > 1 {
		from := max(0, size-endSize)
		if end, _, err = files.GetRange(ctx, id, from, size-from); err != nil {
			return nil, err
		}
		f.used = window{offset: from, data: end}
	}
	return f, nil
}

// windowed is a file with two parts in memory.
type windowed struct {
	files Parts
	id    string
	size  int64

	mu    sync.Mutex
	used  window // the part used last
	other window // the part used before
}

// window is a part of a file.
type window struct {
	offset int64
	data   []byte // never changed
}

// section returns the n bytes from an offset of the file on, or nil if the window does not
// contain all of them.
func (w window) section(offset, n int64) []byte {
	at := offset - w.offset
	if at < 0 || at+n > int64(len(w.data)) {
		return nil
	}
	return w.data[at : at+n : at+n]
}

// Size implements table.File.
func (f *windowed) Size() int64 { return f.size }

// Section implements table.File.
func (f *windowed) Section(ctx context.Context, offset, n int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range 2 {
		if b := f.used.section(offset, n); b != nil {
			return b, nil
		}
		f.used, f.other = f.other, f.used
	}
	f.other = f.used // the part used before that is dropped
	f.used = window{}
	from := min(offset, max(0, f.size-windowSize)) // the end of the file is read as one window
	part, size, err := f.files.GetRange(ctx, f.id, from, max(windowSize, offset+n-from))
	if err != nil {
		return nil, err
	}
	f.used = window{offset: from, data: part}
	b := f.used.section(offset, n)
	if b == nil || size != f.size {
		return nil, fmt.Errorf("read %d bytes at %d: got %d of a file that had %d bytes and has %d", n, offset, len(part), f.size, size)
	}
	return b, nil
}

// Renew implements table.File.
func (f *windowed) Renew(int64, int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used, f.other = window{}, window{}
	return true
}
