// Package tablecache is an LRU cache of chunks of ranges and metaranges. A lookup in a
// large file reads the few blocks that it needs, and the next lookup hardly any.
//
//	metarange ─▶ table.Reader ─▶ Section ─▶ chunk ─▶ cached, or one GetRange for all callers
//
// Files are named by their content and never change, so a cached chunk stays valid. A file
// of one chunk is compared with its ID when it is read. A larger file is read in parts:
// its blocks have checksums, and table.Reader makes further checks.
package tablecache

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// chunkSize is how many bytes of a file are read at a time. The first lookup in a
// tree of 10^6 ranges takes 4 reads with it, as with 1 MiB, and 5 with 256 KiB. A
// listing of 1,000 entries needs about 100 KB of a range. A metarange of one chunk
// holds about 5,000 ranges: 2 * 10^8 objects.
const chunkSize = 512 << 10

// maxLoads is how many chunks are read at a time. Their memory is not part of the limit.
const maxLoads = 16

// loadTimeout is the deadline for reading a chunk, which goes on when no caller waits for
// it any more.
const loadTimeout = time.Minute

// Outcomes of a read of a chunk.
const hit, miss = "hit", "miss"

// Source reads the files of one place.
type Source interface {
	// GetRange returns the n bytes of a file from an offset on, or as many as
	// there are, and the size of the file.
	GetRange(ctx context.Context, id string, offset, n int64) (part []byte, size int64, err error)
}

// Cache keeps the chunks used last, of files of many places, within a number of bytes. It
// may be used concurrently.
type Cache struct {
	kept  *lru
	loads singleflight.Group
	slots chan struct{} // a token for each chunk that is being read
	bytes prometheus.Gauge
	reads *prometheus.CounterVec
}

// New returns a cache of up to limit bytes.
func New(limit int64, reg prometheus.Registerer) *Cache {
	f := metric.With(reg).In("table_cache")
	f.Gauge("limit_bytes", "Bytes of them that may be kept.").Set(float64(limit))
	return &Cache{
		kept:  newLRU(limit),
		slots: make(chan struct{}, maxLoads),
		bytes: f.Gauge("bytes", "Bytes of ranges and metaranges that are kept in memory for lookups."),
		reads: f.CounterVec("reads_total", "Reads of chunks of ranges and metaranges, by whether they were in memory.",
			metric.By("outcome", hit, miss)),
	}
}

// Files are the files of one place, read through a cache.
type Files struct {
	cache  *Cache
	place  string
	source Source
}

// In returns the files of a place, read through the cache. A file with the same ID in
// another place is not trusted to be the same.
func (c *Cache) In(place string, source Source) *Files {
	return &Files{cache: c, place: place, source: source}
}

// Open returns a file, whose first chunk it reads.
func (f *Files) Open(ctx context.Context, id string) (table.File, error) {
	first, err := f.chunk(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	return &file{files: f, id: id, size: first.size}, nil
}

// chunk returns a chunk of a file.
func (f *Files) chunk(ctx context.Context, id string, i int64) (chunk, error) {
	c, k := f.cache, key{place: f.place, id: id, index: i}
	if got, ok := c.kept.get(k); ok {
		c.reads.WithLabelValues(hit).Inc()
		return got, nil
	}
	c.reads.WithLabelValues(miss).Inc()
	loaded := c.loads.DoChan(k.String(), func() (any, error) {
		// The first caller may give up while others wait.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return f.load(ctx, k)
	})
	select {
	case <-ctx.Done():
		return chunk{}, ctx.Err()
	case r := <-loaded:
		if r.Err != nil {
			return chunk{}, r.Err
		}
		return r.Val.(chunk), nil
	}
}

// load reads a chunk and caches it.
func (f *Files) load(ctx context.Context, k key) (chunk, error) {
	c := f.cache
	select {
	case <-ctx.Done():
		return chunk{}, ctx.Err()
	case c.slots <- struct{}{}:
	}
	defer func() { <-c.slots }()
	got, err := f.read(ctx, k)
	if err != nil {
		return chunk{}, err
	}
	c.bytes.Set(float64(c.kept.put(k, got)))
	return got, nil
}

// read reads a chunk from the source, and verifies one that is a whole file.
func (f *Files) read(ctx context.Context, k key) (got chunk, err error) {
	get := func(ctx context.Context) ([]byte, error) {
		got.data, got.size, err = f.source.GetRange(ctx, k.id, k.index*chunkSize, chunkSize)
		return got.data, err
	}
	if _, err := get(ctx); err != nil {
		return chunk{}, err
	}
	if want := min(chunkSize, got.size-k.index*chunkSize); int64(len(got.data)) != want {
		return chunk{}, fmt.Errorf("read chunk %d of file %s: got %d bytes, want %d", k.index, k.id, len(got.data), want)
	}
	if got.size <= chunkSize && table.Verify(ctx, k.id, got.data) != nil { // it may have been damaged on its way
		_, err = table.Load(ctx, k.id, get)
	}
	return got, err
}

// file is a table.File that is read in chunks.
type file struct {
	files *Files
	id    string
	size  int64
}

var _ table.File = (*file)(nil)

// Size implements table.File.
func (f *file) Size() int64 { return f.size }

// Section implements table.File.
func (f *file) Section(ctx context.Context, offset, n int64) ([]byte, error) {
	if at, i := offset%chunkSize, offset/chunkSize; at+n <= chunkSize {
		b, err := f.chunk(ctx, i)
		if err != nil {
			return nil, err
		}
		return b[at : at+n : at+n], nil
	}
	section := make([]byte, 0, n)
	for end := offset + n; offset < end; {
		at, i := offset%chunkSize, offset/chunkSize
		b, err := f.chunk(ctx, i)
		if err != nil {
			return nil, err
		}
		part := b[at:min(int64(len(b)), at+end-offset)]
		section = append(section, part...)
		offset += int64(len(part))
	}
	return section, nil
}

// chunk returns the bytes of a chunk. Its length follows from the size of the file.
func (f *file) chunk(ctx context.Context, i int64) ([]byte, error) {
	got, err := f.files.chunk(ctx, f.id, i)
	if err == nil && got.size != f.size {
		err = fmt.Errorf("read chunk %d of file %s: it had %d bytes and has %d", i, f.id, f.size, got.size)
	}
	return got.data, err
}

// Renew implements table.File.
func (f *file) Renew(offset, n int64) bool {
	for i := offset / chunkSize; i*chunkSize < offset+n; i++ {
		f.files.cache.kept.drop(key{place: f.files.place, id: f.id, index: i})
	}
	return true
}

// key names a chunk.
type key struct {
	place, id string
	index     int64 // of chunks of the file
}

func (k key) String() string {
	return k.place + "\x00" + k.id + "\x00" + strconv.FormatInt(k.index, 10)
}

// chunk is a part of a file.
type chunk struct {
	data []byte // never changed
	size int64  // of the file
}
