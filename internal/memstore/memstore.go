// Package memstore implements an objectstore.Store in memory, for tests. A hook can make its
// calls fail or wait, and count them.
package memstore

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Call is a call to a store, or the next page of a listing.
type Call struct {
	Op    string // "list", "walk", "page", "stat", "get" or "put"
	Key   string // key; prefix of a list, first key of a page
	After string // start of a list
}

// Store is one key space. Methods may be called concurrently, but fields must be set before.
type Store struct {
	PageSize int // objects per page; default 1000

	// EndsAfter, if not nil, reports whether a listing wrongly ends at a key. Walks return
	// all keys.
	EndsAfter func(after string) bool

	// Hook, if not nil, is called at the start of each call, and may change the store. If it
	// returns an error, so does the call.
	Hook func(ctx context.Context, c Call) error

	mu      sync.Mutex
	keys    []string // sorted
	objects map[string]object
}

type object struct {
	objectstore.Object
	body []byte
}

var _ objectstore.Walker = (*Store)(nil)

// Of returns a store with objects that have the keys and attributes of entries, and no
// content.
func Of(entries []entry.Entry) *Store {
	s := &Store{}
	for _, e := range entries {
		s.set(object{Object: objectstore.Object{Key: e.Key, ETag: e.ETag, Size: e.Size, ModTime: e.ModTime}})
	}
	return s
}

// Add stores objects of one byte.
func (s *Store) Add(keys ...string) {
	for _, key := range keys {
		s.store(key, []byte{'x'})
	}
}

// Remove removes objects.
func (s *Store) Remove(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if i, ok := slices.BinarySearch(s.keys, key); ok {
			s.keys = slices.Delete(s.keys, i, i+1)
			delete(s.objects, key)
		}
	}
}

// Keys returns the keys with the prefix.
func (s *Store) Keys(prefix string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for _, key := range s.keys {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// List implements objectstore.Store. Each page shows the store at the time it is read.
func (s *Store) List(ctx context.Context, prefix, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	ends := s.EndsAfter
	if ends == nil {
		ends = func(string) bool { return false }
	}
	return s.pages(ctx, Call{"list", prefix, after}, ends)
}

// Walk implements objectstore.Walker.
func (s *Store) Walk(ctx context.Context, prefix string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return s.pages(ctx, Call{Op: "walk", Key: prefix}, func(string) bool { return false })
}

func (s *Store) pages(ctx context.Context, c Call, ends func(after string) bool) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		if err := s.call(ctx, c); err != nil {
			yield(nil, err)
			return
		}
		prefix, after := c.Key, c.After
		for page := s.page(prefix, after); len(page) > 0 && !ends(after); page = s.page(prefix, after) {
			if err := s.call(ctx, Call{Op: "page", Key: string(page[0].Key)}); err != nil {
				yield(nil, err)
				return
			}
			after = string(page[len(page)-1].Key)
			if !yield(page, nil) {
				return
			}
		}
	}
}

func (s *Store) page(prefix, after string) (page []objectstore.Listed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := max(prefix, after)
	for i := sort.SearchStrings(s.keys, from); i < len(s.keys) && strings.HasPrefix(s.keys[i], prefix); i++ {
		if s.keys[i] <= after {
			continue
		}
		page = append(page, s.objects[s.keys[i]].Listed())
		if size := s.PageSize; len(page) == size || len(page) == 1000 {
			break
		}
	}
	return page
}

// Stat implements objectstore.Store.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	o, err := s.get(ctx, "stat", key)
	return o.Object, err
}

// Get implements objectstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	o, err := s.get(ctx, "get", key)
	if err == nil && int64(len(o.body)) > limit {
		err = fmt.Errorf("get %q: %w", key, objectstore.TooLarge(int64(len(o.body)), limit))
	}
	if err != nil {
		return nil, err
	}
	return bytes.Clone(o.body), nil
}

// GetRange implements objectstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset, n int64) ([]byte, int64, error) {
	o, err := s.get(ctx, "get", key)
	size := int64(len(o.body))
	if err == nil && offset > 0 && offset >= size {
		err = fmt.Errorf("get %q: %w: the object has %d bytes", key, objectstore.ErrRefused, size)
	}
	if err != nil {
		return nil, 0, err
	}
	return bytes.Clone(o.body[offset:min(size, offset+n)]), size, nil
}

// Put implements objectstore.Store.
func (s *Store) Put(ctx context.Context, key string, body []byte, _ objectstore.Sum) error {
	if err := s.call(ctx, Call{Op: "put", Key: key}); err != nil {
		return err
	}
	s.store(key, body)
	return nil
}

func (s *Store) get(ctx context.Context, op, key string) (object, error) {
	if err := s.call(ctx, Call{Op: op, Key: key}); err != nil {
		return object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	if !ok {
		return object{}, fmt.Errorf("%s %q: %w", op, key, objectstore.ErrNotFound)
	}
	return o, nil
}

func (s *Store) store(key string, body []byte) {
	sum := md5.Sum(body)
	s.set(object{
		Object: objectstore.Object{Key: key, ETag: hex.EncodeToString(sum[:]), Size: int64(len(body)), ModTime: time.Unix(1_700_000_000, 0).UTC()},
		body:   bytes.Clone(body),
	})
}

func (s *Store) set(o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects == nil {
		s.objects = make(map[string]object)
	}
	if i, ok := slices.BinarySearch(s.keys, o.Key); !ok {
		s.keys = slices.Insert(s.keys, i, o.Key)
	}
	s.objects[o.Key] = o
}

func (s *Store) call(ctx context.Context, c Call) error {
	if s.Hook != nil {
		if err := s.Hook(ctx, c); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Buckets opens the stores of s3:// URIs, by bucket.
type Buckets map[string]*Store

// Open returns the bucket, or objectstore.ErrRefused.
func (b Buckets) Open(_ context.Context, u objectstore.URI) (objectstore.Store, error) {
	if s, ok := b[u.Bucket]; ok && u.Scheme == objectstore.SchemeS3 {
		return s, nil
	}
	return nil, fmt.Errorf("open %s: no such bucket: %w", u, objectstore.ErrRefused)
}

// OpenSource is Open.
func (b Buckets) OpenSource(ctx context.Context, u objectstore.URI, _ bool) (objectstore.Store, error) {
	return b.Open(ctx, u)
}

// Listing returns objectstore.Parallel: listings may start after any key.
func (Buckets) Listing(context.Context, objectstore.URI) (objectstore.Listing, error) {
	return objectstore.Listing{Mode: objectstore.Parallel}, nil
}
