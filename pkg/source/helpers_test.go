package source_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// bucket is a store in memory: its keys, sorted. An object's size and ETag tell
// which one it is.
type bucket struct {
	name     string
	keys     []string
	pageSize int

	mu    sync.Mutex
	lists []string // "prefix after" of each List
	walks []string // the prefix of each Walk
	stats int
}

func (b *bucket) object(key string) objectstore.Object {
	return objectstore.Object{Key: key, ETag: b.name + "/" + key, Size: int64(len(key)), ModTime: time.Unix(1, 5).UTC()}
}

func (b *bucket) List(ctx context.Context, prefix, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	b.mu.Lock()
	b.lists = append(b.lists, prefix+" "+after)
	b.mu.Unlock()
	return b.found(ctx, prefix, after)
}

func (b *bucket) Walk(ctx context.Context, prefix string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	b.mu.Lock()
	b.walks = append(b.walks, prefix)
	b.mu.Unlock()
	return b.found(ctx, prefix, "")
}

func (b *bucket) found(ctx context.Context, prefix, after string) iter.Seq2[[]objectstore.Listed, error] {
	var found []objectstore.Listed
	for _, key := range b.keys {
		if strings.HasPrefix(key, prefix) && key > after {
			found = append(found, b.object(key).Listed())
		}
	}
	return func(yield func([]objectstore.Listed, error) bool) {
		for page := range slices.Chunk(found, b.pageSize) {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			page := slices.Clone(page)
			if !yield(page, nil) {
				return
			}
			for _, o := range page { // they were the caller's only until now
				clear(o.Key)
				clear(o.ETag)
			}
			clear(page)
		}
	}
}

func (b *bucket) Stat(_ context.Context, key string) (objectstore.Object, error) {
	b.mu.Lock()
	b.stats++
	b.mu.Unlock()
	if _, ok := slices.BinarySearch(b.keys, key); !ok {
		return objectstore.Object{}, fmt.Errorf("stat s3://%s/%s: %w", b.name, key, objectstore.ErrNotFound)
	}
	return b.object(key), nil
}

func (*bucket) Get(context.Context, string, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

func (*bucket) GetRange(context.Context, string, int64, int64) ([]byte, int64, error) {
	return nil, 0, errors.ErrUnsupported
}

func (*bucket) Put(context.Context, string, []byte, objectstore.Sum) error {
	return errors.ErrUnsupported
}

// buckets opens stores in memory by name.
type buckets map[string]*bucket

func (bs buckets) OpenSource(_ context.Context, u objectstore.URI, _ bool) (objectstore.Store, error) {
	if b, ok := bs[u.Bucket]; ok {
		return b, nil
	}
	return nil, fmt.Errorf("open %s: %w", u, objectstore.ErrRefused)
}

func prefix(uri, destination string) imports.Path {
	return imports.Path{Type: imports.CommonPrefix, URI: uri, Destination: destination}
}

func object(uri, destination string) imports.Path {
	return imports.Path{Type: imports.Object, URI: uri, Destination: destination}
}

// collect lists everything, and checks the shape of the batches.
func collect(t *testing.T, s *source.Source, after string) ([]entry.Entry, error) {
	t.Helper()
	return collectBatches(t, s.List(t.Context(), after, objectstore.ListOptions{}))
}

func collectBatches(t *testing.T, batches iter.Seq2[entry.Batch, error]) ([]entry.Entry, error) {
	t.Helper()
	var all []entry.Entry
	for batch, err := range batches {
		if err != nil {
			return all, err
		}
		if batch.Len() < 1 || batch.Len() > 1500 {
			t.Errorf("batch of %d entries", batch.Len())
		}
		for i := range batch.Len() {
			all = append(all, batch.Entry(i))
		}
	}
	return all, nil
}

// naive lists paths by definition: list everything, map, let later paths win, sort, and
// leave out what does not lie after `after`.
func naive(bs buckets, paths []imports.Path, after string) []entry.Entry {
	won := map[string]entry.Entry{}
	for _, p := range paths {
		uri, err := objectstore.ParseURI(p.URI)
		if err != nil {
			panic(err)
		}
		b := bs[uri.Bucket]
		for _, key := range b.keys {
			destination := p.Destination
			switch {
			case p.Type == imports.Object && key != uri.Key:
				continue
			case p.Type == imports.CommonPrefix && !strings.HasPrefix(key, uri.Key):
				continue
			case p.Type == imports.CommonPrefix:
				if destination != "" && !strings.HasSuffix(destination, "/") {
					destination += "/"
				}
				destination += key[strings.LastIndex(uri.Key, "/")+1:]
			}
			o := b.object(key)
			won[destination] = entry.Entry{
				Key: destination, Address: "s3://" + uri.Bucket + "/" + key, ETag: o.ETag, Size: o.Size, ModTime: o.ModTime,
			}
		}
	}
	var all []entry.Entry
	for key, e := range won {
		if key > after {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b entry.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

type generator struct{ rnd *rand.Rand }

// key makes keys that are often equal, or begin with each other.
func (g generator) key() string {
	key := string(rune('a' + g.rnd.IntN(3)))
	for range g.rnd.IntN(6) {
		key += []string{"a", "b", "/", "!", "0", "é"}[g.rnd.IntN(6)]
	}
	return key
}

// world makes two buckets, one of them large enough for runs that are not
// copied, and up to 8 paths.
func (g generator) world() (buckets, []imports.Path) {
	bs := buckets{}
	for i, name := range []string{"one", "two"} {
		b := &bucket{name: name, pageSize: 1 + g.rnd.IntN(5)}
		for range g.rnd.IntN(60) {
			b.keys = append(b.keys, g.key())
		}
		if i == 0 && g.rnd.IntN(4) == 0 {
			b.pageSize = 1000
			for j := range 1 + g.rnd.IntN(3000) {
				b.keys = append(b.keys, fmt.Sprintf("a/%06d", j))
			}
		}
		b.keys = append(b.keys, "a")
		slices.Sort(b.keys)
		b.keys = slices.Compact(b.keys)
		bs[name] = b
	}
	var paths []imports.Path
	for range 1 + g.rnd.IntN(8) {
		name := []string{"one", "two"}[g.rnd.IntN(2)]
		keys := bs[name].keys
		key := keys[g.rnd.IntN(len(keys))]
		if g.rnd.IntN(3) == 0 {
			paths = append(paths, object("s3://"+name+"/"+key, []string{"a", "b", "c/a", "b!", g.key()}[g.rnd.IntN(5)]))
			continue
		}
		// The last rune stays off, so that no key becomes empty.
		runes := []rune(key)
		from := "s3://" + name + "/" + string(runes[:g.rnd.IntN(len(runes))])
		paths = append(paths, prefix(from, []string{"x", "a", "a/", "b", "c/d"}[g.rnd.IntN(5)]))
	}
	return bs, paths
}

func keysOf(entries []entry.Entry) []string {
	var keys []string
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// endless is a bucket whose listing never ends, and blocks after its first page.
type endless struct{ bucket }

func (b *endless) List(ctx context.Context, _, _ string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		if yield([]objectstore.Listed{b.object("x").Listed()}, nil) {
			<-ctx.Done()
			yield(nil, ctx.Err())
		}
	}
}

func (b *endless) OpenSource(context.Context, objectstore.URI, bool) (objectstore.Store, error) {
	return b, nil
}
