package landing

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/localstore"
)

// files is a storage namespace in a directory. It counts calls and bytes. Its methods may be
// called concurrently.
type files struct {
	*namespace.Files
	delay time.Duration // of each read

	mu    sync.Mutex
	calls int
	bytes int64
}

func open(dir string) (*files, error) {
	store, err := localstore.New([]string{dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	uri, err := objectstore.ParseURI("local://" + filepath.ToSlash(dir))
	return &files{Files: namespace.New(store, uri)}, err
}

// measure measures work with the files.
func (f *files) measure(work func() error) (c Cost, err error) {
	f.calls, f.bytes = 0, 0
	c.Usage, err = measure.Self(work)
	c.Calls, c.Bytes = f.calls, f.bytes
	return c, err
}

func (f *files) count(data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	f.bytes += int64(len(data))
}

func (f *files) Get(ctx context.Context, id string) ([]byte, error) {
	<-time.After(f.delay)
	data, err := f.Files.Get(ctx, id)
	f.count(data)
	return data, err
}

func (f *files) GetRange(ctx context.Context, id string, offset, n int64) (part []byte, size int64, err error) {
	<-time.After(f.delay)
	part, size, err = f.Files.GetRange(ctx, id, offset, n)
	f.count(part)
	return part, size, err
}

func (f *files) Put(ctx context.Context, id string, data []byte, sum objectstore.Sum) error {
	f.count(data)
	return f.Files.Put(ctx, id, data, sum)
}
