package source_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// TestListEqualsNaive lists random paths over random keys after random keys.
func TestListEqualsNaive(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := generator{rand.New(rand.NewPCG(seed, 1))}
			bs, paths := g.world()
			mode := objectstore.Parallel
			if seed%2 == 1 {
				mode = objectstore.Walk
			}
			s, err := source.Open(t.Context(), bs, paths, mode)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				for name, b := range bs {
					if mode == objectstore.Walk && len(b.lists) > 0 || mode == objectstore.Parallel && len(b.walks) > 0 {
						t.Errorf("in mode %s bucket %s was listed %d times and walked %d times", mode, name, len(b.lists), len(b.walks))
					}
				}
			}()
			all := naive(bs, paths, "")
			afters := []string{"", "a", "zzz", g.key()}
			for range 5 {
				if len(all) > 0 {
					afters = append(afters, all[g.rnd.IntN(len(all))].Key)
				}
			}
			for _, after := range afters {
				got, err := collect(t, s, after)
				if err != nil {
					t.Fatalf("paths %+v after %q: %v", paths, after, err)
				}
				if want := naive(bs, paths, after); !slices.Equal(got, want) {
					t.Fatalf("paths %+v after %q: got %d entries\n%+v\nwant %d\n%+v", paths, after, len(got), got, len(want), want)
				}
			}
		})
	}
}

// TestWalksReportPagesPassedOver has a walk pass over the pages before its start.
func TestWalksReportPagesPassedOver(t *testing.T) {
	bs := buckets{"b": {name: "b", pageSize: 10, keys: manyKeys()}}
	s, err := source.Open(t.Context(), bs, []imports.Path{prefix("s3://b/", "")}, objectstore.Walk)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	after, opts := bs["b"].keys[len(bs["b"].keys)-5], objectstore.ListOptions{PassedOver: func() { passed++ }}
	got, err := collectBatches(t, s.List(t.Context(), after, opts))
	if err != nil || len(got) != 4 || passed != len(bs["b"].keys)/10-1 || !s.Walks() {
		t.Errorf("%d entries, %d pages passed over of %d keys, %v", len(got), passed, len(bs["b"].keys), err)
	}
	s, err = source.Open(t.Context(), bs, []imports.Path{object("s3://b/k", "k")}, objectstore.Walk)
	if err != nil || s.Walks() {
		t.Errorf("a source of objects alone walks: %t, %v", s.Walks(), err)
	}
}

// notWalkable opens stores that cannot be walked.
type notWalkable struct{}

func (notWalkable) OpenSource(context.Context, objectstore.URI, bool) (objectstore.Store, error) {
	return struct{ objectstore.Store }{}, nil
}

func TestBucketsAreListedInTheModeGiven(t *testing.T) {
	if _, err := source.Open(t.Context(), notWalkable{}, []imports.Path{prefix("s3://b/", "")}, objectstore.Walk); !errors.Is(err, objectstore.ErrRefused) {
		t.Errorf("a bucket that cannot be walked: %v, want ErrRefused", err)
	}
	s, err := source.Open(t.Context(), notWalkable{}, []imports.Path{prefix("local:///d/", "")}, objectstore.Walk)
	if err != nil || s.Walks() {
		t.Errorf("a directory beside walked buckets: %v, %v", s, err)
	}
}

// TestLaterPathWins has paths of both types take turns at one key.
func TestLaterPathWins(t *testing.T) {
	bs := buckets{"b": {name: "b", pageSize: 1, keys: []string{"p/x", "q/x", "x"}}}
	paths := []imports.Path{
		object("s3://b/x", "c"), object("s3://b/x", "d/x"), prefix("s3://b/p/", "d"), object("s3://b/x", "d/x"), prefix("s3://b/q/", "d"),
	}
	for n, winner := range map[int]string{1: "b/x", 2: "b/x", 3: "b/p/x", 4: "b/x", 5: "b/q/x"} {
		s, err := source.Open(t.Context(), bs, paths[:n], objectstore.Parallel)
		if err != nil {
			t.Fatal(err)
		}
		got, err := collect(t, s, "")
		if err != nil {
			t.Fatal(err)
		}
		if got[0].Key != "c" || got[len(got)-1].ETag != winner || len(got) != min(n, 2) {
			t.Errorf("the first %d paths gave %+v, want c, and the last key from %s", n, got, winner)
		}
	}
}

func TestMapping(t *testing.T) {
	for _, tc := range []struct {
		path      imports.Path
		key, want string
	}{
		{prefix("s3://b/a/pre", ""), "a/pre1/x", "pre1/x"},
		{prefix("s3://b/a/pre", "data"), "a/pre1/x", "data/pre1/x"},
		{prefix("s3://b/a/pre/", "data/"), "a/pre/x", "data/x"},
		{prefix("s3://b/", ""), "x//y", "x//y"},
		{prefix("s3://b/", "d"), "/x", "d//x"},
		{prefix("local:///srv/data/", "d"), "srv/data/x", "d/x"},
		{object("s3://b/a/x", "d/y"), "a/x", "d/y"},
		{object("s3://b/a/x", "d/"), "a/x", "d/"},
	} {
		m, err := source.NewMapping(tc.path)
		if err != nil {
			t.Errorf("%+v: %v", tc.path, err)
			continue
		}
		if got := m.Destination(tc.key); got != tc.want {
			t.Errorf("%+v maps %q to %q, want %q", tc.path, tc.key, got, tc.want)
		}
	}
}

func TestMappingRefuses(t *testing.T) {
	for _, p := range []imports.Path{
		prefix("gs://b/a", ""),
		prefix("s3://b/a", "\xff"),
		object("s3://b/", "d"),
		object("s3://b/a", ""),
		{Type: "other", URI: "s3://b/a"},
	} {
		if m, err := source.NewMapping(p); err == nil {
			t.Errorf("%+v makes mapping %+v, want an error", p, m)
		}
	}
}

// TestMappingAfter checks against its definition: listing after the mapped key
// gives exactly the objects whose destinations lie after the key.
func TestMappingAfter(t *testing.T) {
	keys := []string{"a", "a/", "a/!", "a/b", "a/b/", "a/b/c", "a/b0", "a/é", "a0", "b"}
	afters := []string{"", "!", "b", "b/", "b/c", "c", "d", "d/", "d/!", "d/b", "d/b/", "d/b/c", "d/b/c!", "d/é", "d0", "\U0010ffff"}
	for _, uri := range []string{"s3://x/", "s3://x/a", "s3://x/a/", "s3://x/a/b", "s3://x/a/b/"} {
		for _, destination := range []string{"", "d", "d/b", "d/b/"} {
			m, err := source.NewMapping(prefix(uri, destination))
			if err != nil {
				t.Fatal(err)
			}
			for _, after := range afters {
				start, some := m.After(after)
				for _, key := range keys {
					if !strings.HasPrefix(key, strings.TrimPrefix(uri, "s3://x/")) || m.Destination(key) == "" {
						continue
					}
					listed, want := some && key > start, m.Destination(key) > after
					if listed != want {
						t.Errorf("%s to %q after %q lists after %q (%v): %q listed %v, want %v", uri, destination, after, start, some, key, listed, want)
					}
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	bs := buckets{"b": {name: "b", pageSize: 2, keys: []string{"a", "dir/", "dir/x", "z"}}}
	for _, tc := range []struct {
		name  string
		paths []imports.Path
		want  error
		named string
		first []string // keys that come before the error
	}{
		{"empty key", []imports.Path{prefix("s3://b/dir/", "")}, objectstore.ErrBadListing, "s3://b/dir/", nil},
		{
			"long key",
			[]imports.Path{prefix("s3://b/dir/x", strings.Repeat("d", limits.Key-2)), prefix("s3://b/dir/x", strings.Repeat("d", limits.Key-1))},
			objectstore.ErrBadListing, "s3://b/dir/x takes 1025 bytes",
			[]string{strings.Repeat("d", limits.Key-2) + "/x"},
		},
		{
			"missing object",
			[]imports.Path{prefix("s3://b/a", ""), object("s3://b/none", "m"), object("s3://b/z", "c")},
			objectstore.ErrNotFound, "s3://b/none",
			[]string{"a", "c"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := source.Open(t.Context(), bs, tc.paths, objectstore.Parallel)
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(t, s, "")
			if !errors.Is(err, tc.want) || !strings.Contains(fmt.Sprint(err), tc.named) {
				t.Errorf("error %v, want %v that names %s", err, tc.want, tc.named)
			}
			if keys := keysOf(got); !slices.Equal(keys, tc.first) {
				t.Errorf("before the error came %q, want %q", keys, tc.first)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, p := range []imports.Path{prefix("s3://unknown/", ""), prefix("ftp://b/", "")} {
		if _, err := source.Open(t.Context(), buckets{}, []imports.Path{p}, objectstore.Parallel); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("Open(%+v) = %v, want ErrRefused", p, err)
		}
	}
}

func TestRemoved(t *testing.T) {
	bs := buckets{"b": {name: "b"}}
	s, err := source.Open(t.Context(), bs, []imports.Path{
		prefix("s3://b/x", "d"), object("s3://b/o", "k"), prefix("s3://b/y/", "d/"), prefix("s3://b/z", ""), object("s3://b/p", "k"),
	}, objectstore.Parallel)
	if err != nil {
		t.Fatal(err)
	}
	prefixes, keys := s.Removed()
	if !slices.Equal(prefixes, []string{"", "d/"}) || !slices.Equal(keys, []string{"k"}) {
		t.Errorf("Removed() = %q, %q, want [\"\" \"d/\"], [\"k\"]", prefixes, keys)
	}
}

// TestListReadsNoMoreThanItMust checks that paths behind the consumer are not read, and that
// a path is listed from where the listing starts.
func TestListReadsNoMoreThanItMust(t *testing.T) {
	bs := buckets{}
	for _, name := range []string{"a", "b", "c"} {
		bs[name] = &bucket{name: name, pageSize: 1000, keys: []string{"p/1", "p/2", "p/3"}}
	}
	s, err := source.Open(t.Context(), bs, []imports.Path{
		prefix("s3://c/p/", "c"), object("s3://c/p/1", "d"), prefix("s3://a/p/", "a"), prefix("s3://b/p/", "b"),
	}, objectstore.Parallel)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(t, s, "b/2")
	if want := []string{"b/3", "c/1", "c/2", "c/3", "d"}; err != nil || !slices.Equal(keysOf(got), want) {
		t.Fatalf("after b/2: %q, %v, want %q", keysOf(got), err, want)
	}
	if a, b := bs["a"].lists, bs["b"].lists; len(a) != 0 || !slices.Equal(b, []string{"p/ p/2"}) {
		t.Errorf("listed %q and %q, want nothing of a, and of b what lies after p/2", a, b)
	}
	big := &bucket{name: "b", pageSize: 1000}
	for i := range 5000 {
		big.keys = append(big.keys, fmt.Sprintf("p/%06d", i))
	}
	bs["b"] = big
	bs["c"].lists, bs["c"].stats = nil, 0
	if s, err = source.Open(t.Context(), bs, []imports.Path{prefix("s3://b/p/", "b"), prefix("s3://c/p/", "c"), object("s3://c/p/1", "d")}, objectstore.Parallel); err != nil {
		t.Fatal(err)
	}
	for batch, err := range s.List(t.Context(), "", objectstore.ListOptions{}) {
		if err != nil || batch.Len() != 1000 {
			t.Errorf("first batch of %d entries, %v, want 1000", batch.Len(), err)
		}
		break
	}
	if c := bs["c"]; len(c.lists) != 0 || c.stats != 0 {
		t.Errorf("a listing that stopped in b listed c %q and looked up %d objects", c.lists, c.stats)
	}
}

// TestListStops runs in synctest bubbles, which fail if a goroutine is left.
func TestListStops(t *testing.T) {
	paths := []imports.Path{prefix("s3://b/", ""), prefix("s3://c/", "")}
	t.Run("consumer breaks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := source.Open(t.Context(), buckets{
				"b": {name: "b", pageSize: 300, keys: manyKeys()}, "c": {name: "c", pageSize: 1, keys: []string{"zz"}},
			}, paths, objectstore.Parallel)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range s.List(t.Context(), "", objectstore.ListOptions{}) {
				if err != nil {
					t.Error(err)
				}
				break
			}
		})
	})
	t.Run("context ends", func(t *testing.T) {
		for range 50 { // the end and the error race with each other
			synctest.Test(t, func(t *testing.T) { cancelListing(t, paths) })
		}
	})
}

func cancelListing(t *testing.T, paths []imports.Path) {
	t.Helper()
	s, err := source.Open(t.Context(), &endless{}, paths, objectstore.Parallel)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		synctest.Wait() // both readers are blocked
		cancel()
	}()
	var last error
	for _, err := range s.List(ctx, "", objectstore.ListOptions{}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("listing ended with %v, want context.Canceled: it must not look complete", last)
	}
}

func manyKeys() []string {
	keys := make([]string, 3000)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%05d", i)
	}
	return keys
}
