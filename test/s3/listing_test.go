package s3_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// listingsVariable is the environment variable that says how many listings
// TestListings makes of all servers together.
const (
	listingsVariable = "TEST_LISTINGS"
	defaultListings  = 200
)

// TestListings checks the promise that every import rests on: a listing shows
// what a walk by continuation tokens shows, or is refused.
func TestListings(t *testing.T) {
	kinds := s3test.Kinds(ceph)
	n := listings(t) / len(kinds)
	for _, kind := range kinds {
		t.Run(kind.Name, func(t *testing.T) {
			r := seeded.Rand(t)
			server := kind.Start(t)
			sets := load(t, server, sets(r, kind.Holds))
			opened := opener{server: server, bySize: map[int32]*stores.Stores{}}
			var refused, wrong int
			for range n {
				set := sets[r.IntN(len(sets))]
				l, size := set.Listing(r), set.pageSize(r)
				got, err := list(t, opened.open(t, set.bucket, size), l)
				if refusedListing(err) {
					refused++
					continue
				}
				if diff := difference(got, err, set.walk(t, l)); diff != "" {
					wrong++
					report := t.Errorf
					if kind.Name == losesKeys {
						report = t.Logf
					}
					report("set %s in pages of %d, %v: %s", set.Name, size, l, diff)
				}
			}
			t.Logf("%d listings of %d sets: %d refused, %d wrong", n, len(sets), refused, wrong)
			if kind.Name == losesKeys && wrong == 0 {
				t.Errorf("no keys were lost: either %s is believed no more where it is wrong, or this test sees nothing", kind.Name)
			}
		})
	}
}

// losesKeys is the server that is known to answer start-after wrongly.
const losesKeys = "minio"

// listings returns how many listings to make.
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

// sets returns the sets that a server is listed with: few, since some servers take
// a second for 700 objects.
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
	walks  map[string][]objectstore.Object // by prefix
}

// load puts sets into buckets of a server, and checks that a walk shows them.
func load(t *testing.T, server s3test.Server, sets []siblings.Set) []*loadedSet {
	t.Helper()
	var loaded []*loadedSet
	for _, set := range sets {
		l := &loadedSet{Set: set, server: server, bucket: bucketName(), walks: map[string][]objectstore.Object{}}
		if err := server.Load(t.Context(), l.bucket, set.Keys); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, o := range l.walk(t, siblings.Listing{}) {
			keys = append(keys, o.Key)
		}
		if !slices.Equal(keys, set.Keys) {
			t.Fatalf("a walk shows %d keys of %d that were put: %q and %q", len(keys), len(set.Keys), keys, set.Keys)
		}
		loaded = append(loaded, l)
	}
	return loaded
}

// walk returns what a walk of the listing's prefix shows of the listing.
func (s *loadedSet) walk(t *testing.T, l siblings.Listing) []objectstore.Object {
	t.Helper()
	objects, ok := s.walks[l.Prefix]
	if !ok {
		var err error
		if objects, err = s.server.Walk(t.Context(), s.bucket, l.Prefix); err != nil {
			t.Fatal(err)
		}
		s.walks[l.Prefix] = objects
	}
	return slices.DeleteFunc(slices.Clone(objects), func(o objectstore.Object) bool { return !l.Holds(o.Key) })
}

// pageSize returns a size for which the set has several pages, but few hundred.
func (s *loadedSet) pageSize(r *rand.Rand) int32 {
	sizes := []int32{2, 3, 10, 100, 1000}
	if len(s.Keys) > 500 {
		sizes = []int32{100, 999, 1000}
	}
	return sizes[r.IntN(len(sizes))]
}

// opener opens buckets as the programs do, with one connection to the server for
// each size of pages.
type opener struct {
	server s3test.Server
	bySize map[int32]*stores.Stores
}

func (o *opener) open(t *testing.T, bucket string, pageSize int32) objectstore.Store {
	t.Helper()
	if o.bySize[pageSize] == nil {
		cfg := o.server.Config()
		cfg.PageKeys = int(pageSize)
		s, err := stores.New(stores.Config{S3: cfg}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		o.bySize[pageSize] = s
	}
	store, err := o.bySize[pageSize].Open(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// list returns the objects that a listing shows.
func list(t *testing.T, store objectstore.Store, l siblings.Listing) ([]objectstore.Object, error) {
	t.Helper()
	var objects []objectstore.Object
	for page, err := range store.List(t.Context(), l.Prefix, l.After, l.Upto) {
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			if l.Upto != "" && string(o.Key) > l.Upto {
				return objects, nil // as who gave upto does
			}
			objects = append(objects, o.Object())
		}
	}
	return objects, nil
}

func refusedListing(err error) bool {
	return errors.Is(err, objectstore.ErrBadListing) || errors.Is(err, objectstore.ErrRefused)
}

// difference describes how a listing differs from the walk, or returns "".
func difference(got []objectstore.Object, err error, want []objectstore.Object) string {
	if err != nil {
		return err.Error()
	}
	if slices.Equal(got, want) {
		return ""
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	at := func(objects []objectstore.Object) string {
		if i < len(objects) {
			return fmt.Sprintf("%+v", objects[i])
		}
		return "its end"
	}
	return fmt.Sprintf("%d objects, a walk shows %d; at %d is %s, and in the walk %s", len(got), len(want), i, at(got), at(want))
}
