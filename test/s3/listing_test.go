package s3_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/source"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// listingsVariable is the environment variable with the number of listings that TestListings
// makes of all servers together.
const (
	listingsVariable = "TEST_LISTINGS"
	defaultListings  = 200
)

// controls is the number of parallel listings of a server that is known to lose keys, which it
// does in about a quarter of them.
const controls = 100

// TestListings checks the property that every import needs: listings and requests for single keys
// show the same objects as a walk by continuation tokens. Each server is listed in the mode that
// imports choose for it, and walked.
func TestListings(t *testing.T) {
	kinds := s3test.Kinds(ceph)
	n := listings(t) / len(kinds)
	for _, kind := range kinds {
		t.Run(kind.Name, func(t *testing.T) {
			r := seeded.Rand(t)
			c := newComparison(t, r, kind.Start(t), kind.Holds)
			if chosen := c.chosenMode(t); chosen != kind.Mode {
				t.Errorf("imports choose mode %q, want %q", chosen, kind.Mode)
			}
			for _, problem := range c.stat(t, r, n) {
				t.Error(problem)
			}
			modes := slices.Compact([]objectstore.Mode{kind.Mode, objectstore.Walk})
			for _, mode := range modes {
				o := c.run(t, r, mode, n/len(modes))
				for _, problem := range append(o.wrong, o.failed...) {
					t.Error(problem)
				}
			}
			if kind.LosesKeys && len(c.run(t, r, objectstore.Parallel, controls).wrong) == 0 {
				t.Errorf("%d parallel listings lost no key: either %s has been fixed, or this test detects no losses", controls, kind.Name)
			}
		})
	}
}

// listings returns the number of listings to make.
func listings(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv(listingsVariable)
	if !ok {
		return defaultListings
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of listings", listingsVariable, text)
	}
	return n
}

// sets returns the sets to load into a server. There are few, since some servers take a second
// for 700 objects.
func sets(r *rand.Rand, rules siblings.Rules) []siblings.Set {
	all := []siblings.Set{siblings.Reported(), siblings.Large(r, rules)}
	for range 8 {
		all = append(all, siblings.Small(r, rules))
	}
	return all
}

// loadedSet is a set in a bucket of its own.
type loadedSet struct {
	siblings.Set
	server s3test.Server
	bucket string
	walks  map[string]walk // by prefix
}

// walk is the result of a walk by continuation tokens, or the error if the server refuses the
// walk.
type walk struct {
	objects []objectstore.Object
	err     error
}

// load puts sets into buckets of a server, and checks that a walk shows them.
func load(t *testing.T, server s3test.Server, sets []siblings.Set) []*loadedSet {
	t.Helper()
	var loaded []*loadedSet
	for _, set := range sets {
		l := &loadedSet{Set: set, server: server, bucket: bucketName(), walks: map[string]walk{}}
		if err := server.Load(t.Context(), l.bucket, set.Keys); err != nil {
			t.Fatal(err)
		}
		w := l.walk(t.Context(), siblings.Listing{})
		if w.err != nil {
			t.Fatal(w.err)
		}
		if !slices.EqualFunc(w.objects, set.Keys, func(o objectstore.Object, key string) bool { return o.Key == key }) {
			t.Fatalf("a walk of %s shows %d objects, which differ from the %d that were put", l.bucket, len(w.objects), len(set.Keys))
		}
		loaded = append(loaded, l)
	}
	return loaded
}

// walk returns the objects of the listing that a walk of its prefix shows.
func (s *loadedSet) walk(ctx context.Context, l siblings.Listing) walk {
	w, ok := s.walks[l.Prefix]
	if !ok {
		w.objects, w.err = s.server.Walk(ctx, s.bucket, l.Prefix)
		s.walks[l.Prefix] = w
	}
	w.objects = slices.DeleteFunc(slices.Clone(w.objects), func(o objectstore.Object) bool { return !l.Holds(o.Key) })
	return w
}

// pageSize returns a random size of pages for which the set has several, but at most a few
func (s *loadedSet) pageSize(r *rand.Rand) int {
	sizes := []int{2, 3, 10, 100, 1000}
	if len(s.Keys) > 500 {
		sizes = []int{100, 999, 1000}
	}
	return sizes[r.IntN(len(sizes))]
}

// comparison compares listings of one server with walks.
type comparison struct {
	server s3test.Server
	sets   []*loadedSet
	stores map[int]*stores.Stores // by page size
}

func newComparison(t *testing.T, r *rand.Rand, server s3test.Server, rules siblings.Rules) *comparison {
	t.Helper()
	return &comparison{server: server, sets: load(t, server, sets(r, rules)), stores: map[int]*stores.Stores{}}
}

// outcome describes the listings that differ from walks.
type outcome struct {
	wrong  []string // listings without an error
	failed []string // listings with an error where the walk had none
}

// run makes n listings.
func (c *comparison) run(t *testing.T, r *rand.Rand, mode objectstore.Mode, n int) outcome {
	t.Helper()
	var o outcome
	for range n {
		set := c.sets[r.IntN(len(c.sets))]
		l, size := set.Listing(r), set.pageSize(r)
		asked := fmt.Sprintf("%s, set %s in pages of %d, %v: ", mode, set.Name, size, l)
		want := set.walk(t.Context(), l)
		got, err := list(t.Context(), c.open(t, size), set.bucket, l, mode)
		switch {
		case err != nil && want.err == nil:
			o.failed = append(o.failed, asked+err.Error())
		case err == nil && want.err != nil && len(got) == 0 && l.After > l.Prefix && !strings.HasPrefix(l.After, l.Prefix):
			// No key of the prefix can follow the start, so the listing made no request.
		case err == nil && want.err != nil:
			o.wrong = append(o.wrong, fmt.Sprintf("%s%d objects, but the server refuses a walk: %v", asked, len(got), want.err))
		case !slices.Equal(got, want.objects):
			o.wrong = append(o.wrong, asked+difference(got, want.objects))
		}
	}
	t.Logf("%s: %d listings, %d wrong, %d failed", mode, n, len(o.wrong), len(o.failed))
	return o
}

// stat requests n single keys, as imports of type object do, and describes the answers that differ
// from a walk.
func (c *comparison) stat(t *testing.T, r *rand.Rand, n int) (wrong []string) {
	t.Helper()
	for range n {
		set := c.sets[r.IntN(len(c.sets))]
		key := set.Keys[r.IntN(len(set.Keys))]
		if r.IntN(2) == 0 {
			key = set.Place(r)
		}
		if key == "" {
			continue
		}
		want := set.walk(t.Context(), siblings.Listing{Prefix: key, Upto: key})
		store, err := c.open(t, 0).Open(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: set.bucket})
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.Stat(t.Context(), key)
		if !want.agrees(got, err) {
			wrong = append(wrong, fmt.Sprintf("%q of set %s is %+v, %v; a walk shows %+v", key, set.Name, got, err, want))
		}
	}
	return wrong
}

// agrees reports whether the answer for a single key agrees with a walk of that key. A server may
// refuse requests for keys that it cannot have; a gateway to files does so for ".".
func (w walk) agrees(got objectstore.Object, err error) bool {
	switch {
	case w.err != nil:
		return err != nil
	case len(w.objects) == 0:
		return errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, objectstore.ErrRefused)
	default:
		return err == nil && len(w.objects) == 1 && got == w.objects[0]
	}
}

// open returns the product's stores with pages of a size.
func (c *comparison) open(t *testing.T, pageSize int) *stores.Stores {
	t.Helper()
	if c.stores[pageSize] == nil {
		cfg := c.server.Config()
		cfg.PageKeys = pageSize
		s, err := stores.New(stores.Config{S3: cfg}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c.stores[pageSize] = s
	}
	return c.stores[pageSize]
}

// chosenMode returns the mode that imports choose for the server.
func (c *comparison) chosenMode(t *testing.T) objectstore.Mode {
	t.Helper()
	listing, err := c.open(t, 0).Listing(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: c.sets[0].bucket})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s", listing.Mode, listing.Why)
	return listing.Mode
}

// list returns the objects that a worker lists for an import of the prefix.
func list(ctx context.Context, opener objectstore.SourceOpener, bucket string, l siblings.Listing, mode objectstore.Mode) ([]objectstore.Object, error) {
	directory := l.Prefix[:strings.LastIndex(l.Prefix, "/")+1]
	src, err := source.Open(ctx, opener, []imports.Path{
		{Type: imports.CommonPrefix, URI: "s3://" + bucket + "/" + l.Prefix, Destination: directory},
	}, mode)
	if err != nil {
		return nil, err
	}
	var objects []objectstore.Object
	for batch, err := range src.List(ctx, l.After, objectstore.ReadTo(l.Upto)) {
		if err != nil {
			return nil, err
		}
		for i := range batch.Len() {
			e := batch.Entry(i)
			if l.Upto != "" && e.Key > l.Upto {
				return objects, nil // the caller of a listing up to a key stops there
			}
			objects = append(objects, objectstore.Object{Key: e.Key, ETag: e.ETag, Size: e.Size, ModTime: e.ModTime})
		}
	}
	return objects, nil
}

// difference describes how a listing differs from a walk.
func difference(got, walk []objectstore.Object) string {
	i := 0
	for i < len(got) && i < len(walk) && got[i] == walk[i] {
		i++
	}
	at := func(objects []objectstore.Object) string {
		if i < len(objects) {
			return fmt.Sprintf("%+v", objects[i])
		}
		return "its end"
	}
	return fmt.Sprintf("%d objects, a walk shows %d; object %d is %s, and %s in the walk", len(got), len(walk), i, at(got), at(walk))
}
