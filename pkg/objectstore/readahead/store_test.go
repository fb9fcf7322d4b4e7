package readahead_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

// bucket is a Pager of a sorted set of keys. It clears its pages after take.
type bucket struct {
	objectstore.Store
	store
}

// ListPage implements objectstore.Pager.
func (b *bucket) ListPage(ctx context.Context, prefix, after string, take func([]objectstore.Listed)) (bool, error) {
	keys, more, err := b.store.ListPage(ctx, prefix, after)
	if err == nil {
		show(keys, take)
	}
	return more, err
}

// WalkPage implements objectstore.Pager.
func (b *bucket) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (string, error) {
	keys, next, err := b.store.WalkPage(ctx, prefix, token)
	if err == nil {
		show(keys, take)
	}
	return next, err
}

// show calls take with the objects of the keys, and clears their memory afterwards.
func show(keys []string, take func([]objectstore.Listed)) {
	if len(keys) == 0 {
		return
	}
	var objects []objectstore.Listed
	for i, k := range keys {
		objects = append(objects, objectstore.Listed{
			Key: []byte(k), ETag: []byte(etag(k)), Size: int64(len(k)), ModTime: int64(i),
		})
		if strings.HasSuffix(k, "later") {
			objects[i].ModTime = math.MaxInt64
		}
	}
	take(objects)
	for _, o := range objects {
		clear(o.Key)
		clear(o.ETag)
	}
}

func etag(key string) string { return fmt.Sprintf("%x", len(key)*len(key)) }

// wrapped is a Store over a bucket, with its metrics.
type wrapped struct {
	objectstore.Store
	reg *prometheus.Registry
}

func wrap(b *bucket) wrapped {
	reg := prometheus.NewRegistry()
	cfg := readahead.Config{Limiter: readahead.NewLimiter(readahead.Limits{})}
	return wrapped{readahead.Wrap(b, b, cfg, readahead.NewMetrics(reg)), reg}
}

// keys lists up to `most` keys and checks the object of each.
func (w wrapped) keys(t *testing.T, most int) (keys []string, err error) {
	t.Helper()
	for page, err := range w.List(t.Context(), "", "", objectstore.ListOptions{}) {
		if err != nil {
			return keys, err
		}
		if len(page) == 0 {
			t.Error("a page without objects")
		}
		for _, o := range page {
			key := string(o.Key)
			if string(o.ETag) != etag(key) || o.Size != int64(len(key)) {
				t.Fatalf("%q has ETag %q and size %d", key, o.ETag, o.Size)
			}
			keys = append(keys, key)
		}
		if len(keys) >= most {
			break
		}
	}
	return keys, nil
}

// idle checks that no page is held and no LIST in flight.
func (w wrapped) idle(t *testing.T) {
	t.Helper()
	for _, name := range []string{"rangefleet_readahead_held_bytes", "rangefleet_readahead_lists_in_flight"} {
		if v := measured.Sum(t, w.reg, name); v != 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
}

const all = 1 << 30

func TestWrapListsEachObjectOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{store: store{keys: numbered(50_000), size: 100, latency: milliseconds(seeded.Rand(t), 30, 70)}}
		w := wrap(b)
		got, err := w.keys(t, all)
		if err != nil || !slices.Equal(got, b.keys) {
			t.Errorf("%d of %d keys, %v", len(got), len(b.keys), err)
		}
		if b.peak < 16 {
			t.Errorf("at most %d LISTs in flight", b.peak)
		}
		w.idle(t)
	})
}

func TestWrapStopsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{store: store{keys: numbered(50_000), size: 100, latency: milliseconds(seeded.Rand(t), 30, 70)}}
		w := wrap(b)
		got, err := w.keys(t, 5000)
		if err != nil || !slices.Equal(got, b.keys[:len(got)]) || len(got) < 5000 {
			t.Errorf("%d keys, %v", len(got), err)
		}
		w.idle(t)
	})
}

func TestWrapYieldsErrorsAfterThePagesBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{store: store{keys: numbered(50_000), size: 100, latency: milliseconds(seeded.Rand(t), 30, 70)}}
		b.fault = func(call int) error {
			if call > 200 {
				return objectstore.ErrRefused
			}
			return nil
		}
		w := wrap(b)
		got, err := w.keys(t, all)
		if !errors.Is(err, objectstore.ErrRefused) || len(got) == 0 || !slices.Equal(got, b.keys[:len(got)]) {
			t.Errorf("%d keys, %v", len(got), err)
		}
		w.idle(t)
	})
}

func TestWrapListsPageByPageWhereTheStoreNeedsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{store: store{keys: numbered(5000), size: 100, latency: milliseconds(seeded.Rand(t), 30, 70)}}
		b.spoil = func(s *store, _, after string, honest int) int {
			if !s.has(after) { // and so is out of order for LISTs that start after no key
				return 0
			}
			return honest
		}
		w := wrap(b)
		got, err := w.keys(t, all)
		if err != nil || !slices.Equal(got, b.keys) {
			t.Errorf("%d of %d keys, %v", len(got), len(b.keys), err)
		}
		w.idle(t)
	})
}

// TestWrapOfAStoreThatChanges lists while keys come and go. Keys that exist all the time are
// listed once, and all keys in order.
func TestWrapOfAStoreThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := seeded.Rand(t)
		steady := numbered(20_000)
		b := &bucket{store: store{keys: steady, size: 100, latency: milliseconds(r, 30, 70)}}
		changes := rand.New(rand.NewPCG(r.Uint64(), 0))
		b.fault = func(int) error { // called for each LIST, before it looks at the keys
			b.mu.Lock()
			defer b.mu.Unlock()
			keys := slices.Clone(steady)
			for range 50 {
				keys = append(keys, fmt.Sprintf("data/%08d+", changes.IntN(20_000)))
			}
			slices.Sort(keys)
			b.keys = slices.Compact(keys)
			return nil
		}
		w := wrap(b)
		got, err := w.keys(t, all)
		if err != nil || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("%d keys, sorted: %v, %v", len(got), slices.IsSorted(got), err)
		}
		got = slices.DeleteFunc(got, func(k string) bool { return strings.HasSuffix(k, "+") })
		if !slices.Equal(got, steady) {
			t.Errorf("%d of %d keys that did not change", len(got), len(steady))
		}
		w.idle(t)
	})
}
