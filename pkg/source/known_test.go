package source_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// strict is a bucket or a directory that refuses keys that no object of it can have.
type strict struct {
	*bucket
	directory bool
}

func (s strict) refuses(key string) error {
	elements := "/" + key + "/"
	long := len(key) > limits.Key
	if s.directory {
		long = strings.Contains(elements, "//") || strings.Contains(elements, "/./") || strings.Contains(elements, "/../")
	}
	if long {
		return fmt.Errorf("key %q: %w", key, objectstore.ErrRefused)
	}
	return nil
}

func (s strict) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	if err := s.refuses(after); err != nil {
		return func(yield func([]objectstore.Listed, error) bool) { yield(nil, err) }
	}
	return s.bucket.List(ctx, prefix, after, opts)
}

func (s strict) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	if err := s.refuses(key); err != nil {
		return objectstore.Object{}, err
	}
	return s.bucket.Stat(ctx, key)
}

type stricts map[string]strict

func (s stricts) OpenSource(_ context.Context, u objectstore.URI, _ bool) (objectstore.Store, error) {
	return s[u.Bucket], nil
}

// If the destinations of paths overlap, a known key is looked up only in those that can hold it:
// the stores of the others would refuse the call, which would fail the import.
func TestKeysAreLookedUpOnlyWhereTheyCanBe(t *testing.T) {
	long := strings.Repeat("k", 600)
	of := stricts{
		"":     {bucket: &bucket{pageSize: 1000}, directory: true},
		"deep": {bucket: &bucket{name: "deep", pageSize: 1000}},
		"flat": {bucket: &bucket{name: "flat", pageSize: 1000, keys: []string{"a/../b", "a//b", long}}},
	}
	paths := []imports.Path{prefix("local:///srv/", "d"), prefix("s3://deep/"+strings.Repeat("p", 600)+"/", "d"), prefix("s3://flat/", "d")}
	s, err := source.Open(t.Context(), of, paths, objectstore.Parallel)
	if err != nil {
		t.Fatal(err)
	}
	for key, there := range map[string]bool{"a/../b": true, "a//b": true, long: true, "a/./b": false, long + "k": false} {
		if has, err := s.Has(t.Context(), "d/"+key); err != nil || has != there {
			t.Errorf("the source has %q: %t, %v, want %t", key, has, err, there)
		}
		if shows, err := s.Shows(t.Context(), "d/"+key); err != nil || !shows {
			t.Errorf("the source shows %q: %t, %v", key, shows, err)
		}
	}
}
