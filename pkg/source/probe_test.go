package source_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

func TestProbe(t *testing.T) {
	bs := buckets{
		"b": {name: "b", pageSize: 2, keys: []string{"dir/", "dir/x", "only/", "p/1", "p/2", "q/1", "q/2", "q/3"}},
		"e": {name: "e", pageSize: 2},
	}
	for _, tc := range []struct {
		name  string
		paths []imports.Path
		skip  source.Probe // with SkipMarkers
		fail  source.Probe // with FailMarkers
	}{
		{"no paths", nil, source.Probe{Small: true}, source.Probe{Small: true}},
		{"one page", []imports.Path{prefix("s3://b/p/", "")}, source.Probe{Small: true}, source.Probe{Small: true}},
		{"two pages", []imports.Path{prefix("s3://b/q/", "")}, source.Probe{}, source.Probe{}},
		{
			"each path is probed",
			[]imports.Path{prefix("s3://b/p/", "d"), prefix("s3://b/typo/", "d"), prefix("s3://e/", "d"), prefix("s3://e/", "f")},
			source.Probe{Empty: []string{"s3://b/typo/", "s3://e/"}, Small: true},
			source.Probe{Empty: []string{"s3://b/typo/", "s3://e/"}, Small: true},
		},
		{"an object is not probed", []imports.Path{object("s3://b/gone", "d")}, source.Probe{Small: true}, source.Probe{Small: true}},
		{"marker", []imports.Path{prefix("s3://b/dir/", "")}, source.Probe{Skipped: 1, Small: true}, source.Probe{Small: true}},
		{"marker below a directory", []imports.Path{prefix("s3://b/dir/", "d")}, source.Probe{Small: true}, source.Probe{Small: true}},
		{"marker of a part of a name", []imports.Path{prefix("s3://b/di", "")}, source.Probe{Small: true}, source.Probe{Small: true}},
		{
			"only a marker",
			[]imports.Path{prefix("s3://b/only/", "")},
			source.Probe{Empty: []string{"s3://b/only/"}, Skipped: 1, Small: true},
			source.Probe{Small: true},
		},
		{
			"one object twice",
			[]imports.Path{prefix("s3://b/only/", ""), prefix("s3://b/only/", ""), prefix("s3://b/p/", "")},
			source.Probe{Empty: []string{"s3://b/only/"}, Skipped: 1, Small: true},
			source.Probe{Small: true},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for markers, want := range map[imports.Markers]source.Probe{imports.SkipMarkers: tc.skip, imports.FailMarkers: tc.fail} {
				for _, mode := range []objectstore.Mode{objectstore.Parallel, objectstore.Walk} {
					s, err := source.Open(t.Context(), bs, tc.paths, mode)
					if err != nil {
						t.Fatal(err)
					}
					s.Markers = markers
					if got, err := s.Probe(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
						t.Errorf("%s, %s: %+v, %v, want %+v", mode, markers, got, err, want)
					}
				}
			}
		})
	}
}

// TestProbeOfManyKeysIsNotSmall probes paths with a page of keys each.
func TestProbeOfManyKeysIsNotSmall(t *testing.T) {
	bs, paths := buckets{}, []imports.Path(nil)
	for i := range 3 {
		name := fmt.Sprintf("b%d", i)
		bs[name] = &bucket{name: name, pageSize: 1000, keys: manyKeys()[:400]}
		paths = append(paths, prefix("s3://"+name+"/", "d"))
		s, err := source.Open(t.Context(), bs, paths, objectstore.Parallel)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Probe(t.Context()); err != nil || got.Small != (i < 2) {
			t.Errorf("%d keys: %+v, %v", 400*(i+1), got, err)
		}
	}
}

// broken is a store whose listings end with an error after some pages.
type broken struct {
	bucket
	pages int
}

var errBroken = errors.New("connection reset")

func (b *broken) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		n := 0
		for page, err := range b.bucket.List(ctx, prefix, after, opts) {
			if n++; n > b.pages {
				break
			}
			if !yield(page, err) {
				return
			}
		}
		yield(nil, errBroken)
	}
}

func (b *broken) OpenSource(context.Context, objectstore.URI, bool) (objectstore.Store, error) {
	return b, nil
}

func TestProbeDoesNotTakeAnErrorForAnEmptyPath(t *testing.T) {
	for pages := range 2 {
		s, err := source.Open(t.Context(), &broken{bucket{name: "b", pageSize: 1, keys: []string{"dir/", "dir/x"}}, pages},
			[]imports.Path{prefix("s3://b/dir/", "")}, objectstore.Parallel)
		if err != nil {
			t.Fatal(err)
		}
		s.Markers = imports.SkipMarkers
		if got, err := s.Probe(t.Context()); !errors.Is(err, errBroken) {
			t.Errorf("after %d pages: %+v, %v, want the store's error", pages, got, err)
		}
	}
}

// TestListSkipsExactlyTheMarker lists random paths and, with the root as destination, folders
// that have a marker. Its naive twin has no key that is empty.
func TestListSkipsExactlyTheMarker(t *testing.T) {
	for seed := range uint64(100) {
		g := generator{rand.New(rand.NewPCG(seed, 2))}
		bs, paths := g.world()
		one := bs["one"]
		one.keys = slices.Compact(slices.Sorted(slices.Values(append(one.keys, "a/", "a/b/"))))
		paths = slices.Insert(paths, g.rnd.IntN(len(paths)+1), prefix("s3://one/a/", ""), prefix("s3://one/a/b/", ""))
		s, err := source.Open(t.Context(), bs, paths, objectstore.Parallel)
		if err != nil {
			t.Fatal(err)
		}
		s.Markers = imports.SkipMarkers
		for _, after := range []string{"", "b", g.key()} {
			got, err := collect(t, s, after)
			if want := naive(bs, paths, after); err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d after %q: %d entries, %v, want %d", seed, after, len(got), err, len(want))
			}
		}
	}
}
