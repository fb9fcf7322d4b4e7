package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/inspect"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// tokens are a bucket whose token is the last key of the page before. Each page repeats that
// key.
type tokens struct {
	*memstore.Store
	failures int    // of calls to come
	endsAt   string // a walk wrongly ends behind this key
	early    int    // how often it does
}

func (b *tokens) ListAfter(context.Context, string, string, int, func([]objectstore.Listed)) (bool, error) {
	return false, errors.New("no comparison lists after a key")
}

func (b *tokens) WalkPage(_ context.Context, prefix, token string, take func([]objectstore.Listed)) (string, error) {
	if b.failures--; b.failures >= 0 {
		return "", errors.New("connection reset")
	}
	const size = 7
	keys := b.Keys(prefix)
	i, _ := slices.BinarySearch(keys, token)
	page := keys[i:min(len(keys), i+size)]
	var objects []objectstore.Listed
	for _, key := range page {
		o, err := b.Stat(context.Background(), key)
		if err != nil {
			return "", err
		}
		objects = append(objects, o.Listed())
	}
	take(objects)
	if len(page) == size && b.early > 0 && page[size-1] >= b.endsAt {
		b.early--
		return "", nil
	}
	if len(page) < size {
		return "", nil
	}
	return page[size-1], nil
}

func (b *tokens) Trial(context.Context, objectstore.URI) (trial.Bucket, error) {
	return trial.Bucket{Pages: b}, nil
}

// newInspector returns what compares the bucket with a tree of entries, and the tree's ID.
func newInspector(t *testing.T, bucket *tokens, entries []entry.Entry) (*inspect.Inspector, string) {
	t.Helper()
	repo := &memstore.Store{}
	files := namespace.New(repo, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "repo", Key: "ns"})
	var ranges []partition.RangeMetadata
	w := rangewriter.New(t.Context(), files, partition.Breaks{MaxSize: 20 << 20, Raggedness: 20}, rangewriter.Options{
		Stored: func(r partition.RangeMetadata) error { ranges = append(ranges, r); return nil },
	})
	defer w.Close()
	if len(entries) > 0 {
		expect.NoError(t, w.Write(entrytest.Batch(entries...)))
	}
	expect.NoError(t, w.Flush())
	id, err := metarange.Write(t.Context(), files, ranges)
	expect.NoError(t, err)
	stores := memstore.Buckets{"repo": repo, "lake": bucket.Store}
	return inspect.New(inspect.Config{
		Repository: func(_ context.Context, id string) (catalog.Repository, error) {
			if id != "repo" {
				return catalog.Repository{}, fault.Missing("repository")
			}
			return catalog.Repository{ID: id, StorageNamespace: "s3://repo/ns"}, nil
		},
		Stores: stores, Buckets: bucket,
		CheckSource: func(_ context.Context, source string) (objectstore.URI, error) {
			if strings.HasPrefix(source, "s3://secret") {
				return objectstore.URI{}, fault.BadField("source", "not allowed")
			}
			return objectstore.ParseURI(source)
		},
	}), id
}

// compareAll compares in parts that end whenever over says so.
func compareAll(ctx context.Context, i *inspect.Inspector, q inspect.Question, over func() bool) (all inspect.Comparison, parts int, err error) {
	for at := (&q.From); at != nil; parts++ {
		q.From, q.Names, q.Over = *at, 10_000, over
		part, err := i.Compare(ctx, q)
		if err != nil {
			return all, parts, err
		}
		all.Equal, all.Missing, all.Extra = all.Equal+part.Equal, all.Missing+part.Missing, all.Extra+part.Extra
		all.Changed, all.Later = all.Changed+part.Changed, all.Later+part.Later
		all.Differences = append(all.Differences, part.Differences...)
		at = part.Next
	}
	return all, parts, nil
}

var since = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// random returns entries under data/ and beside it, and objects that differ from some of them,
// with the difference of each key in short.
func random(t *testing.T) (entries []entry.Entry, objects []entry.Entry, want map[string]string) {
	t.Helper()
	rng, want := seeded.Rand(t), map[string]string{}
	for _, e := range entrytest.Random(rng, 200) {
		e.ModTime = since.Add(-time.Hour)
		at := "raw/pre" + e.Key
		e.Key, e.Address = "data/pre"+e.Key, "s3://lake/"+at
		o := e
		o.Key = at
		switch rng.IntN(8) {
		case 0:
			objects, want[e.Key] = append(objects, o), "missing"
			continue
		case 1:
			entries, want[e.Key] = append(entries, e), "extra"
			continue
		case 2:
			o.Size, o.ETag, want[e.Key] = o.Size+1, o.ETag+"x", "changed size etag"
		case 3:
			o.ModTime, want[e.Key] = since, "later"
		case 4:
			e.Address, want[e.Key] = "s3://elsewhere/x", "changed address"
		}
		entries, objects = append(entries, e), append(objects, o)
	}
	for _, key := range []string{"data", "data!", "data/", "data0", "dat"} {
		entries = append(entries, entry.Entry{Key: key, Address: "s3://x/y", ModTime: since})
	}
	want["data/"] = "extra" // no object of s3://lake/raw/pre goes there
	objects = append(objects, entry.Entry{Key: "raw/other", ModTime: since})
	slices.SortFunc(entries, func(a, b entry.Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries, objects, want
}

// However a comparison is divided into parts, it finds each key that differs once.
func TestCompare(t *testing.T) {
	rng := seeded.Rand(t)
	entries, objects, want := random(t)
	bucket := &tokens{Store: memstore.Of(objects)}
	i, id := newInspector(t, bucket, entries)
	q := inspect.Question{Repository: "repo", Metarange: id, Source: "s3://lake/raw/pre", Destination: "data", From: inspect.Position{Since: since}}
	for name, over := range map[string]func() bool{
		"whole": func() bool { return false }, "pages": func() bool { return true }, "parts": func() bool { return rng.IntN(3) == 0 },
	} {
		bucket.failures = rng.IntN(3)
		all, parts, err := compareAll(t.Context(), i, q, over)
		expect.NoError(t, err)
		got := map[string]string{}
		for _, d := range all.Differences {
			got[d.Key] = strings.Join(append([]string{string(d.Kind)}, d.Fields...), " ")
			if (d.Kind == inspect.Extra) != d.ModTime.IsZero() {
				t.Errorf("%s: %+v", name, d)
			}
		}
		later := int64(0)
		named := maps.Clone(want)
		maps.DeleteFunc(named, func(_, d string) bool {
			if d == "later" {
				later++
			}
			return d == "later"
		})
		if !maps.Equal(got, named) || all.Later != later || (parts > 1) == (name == "whole") {
			t.Errorf("%s: %d parts, later %d of %d, differences %q, want %q", name, parts, all.Later, later, got, named)
		}
		if n := all.Missing + all.Extra + all.Changed; n != int64(len(named)) || len(all.Differences) != len(named) {
			t.Errorf("%s: %+v counts %d differences of %d", name, all, n, len(named))
		}
		if beside := int64(4); all.Equal+all.Extra+all.Changed+all.Later != int64(len(entries))-beside {
			t.Errorf("%s: %+v does not count the %d entries", name, all, len(entries))
		}
	}
}

// An end of many keys that are extra is divided, too.
func TestCompareWithAnEmptySource(t *testing.T) {
	var entries []entry.Entry
	for n := range 2500 {
		entries = append(entries, entry.Entry{Key: fmt.Sprintf("%06d", n), Address: "s3://lake/x", ModTime: since})
	}
	i, id := newInspector(t, &tokens{Store: &memstore.Store{}}, entries)
	q := inspect.Question{Repository: "repo", Metarange: id, Source: "s3://lake/", From: inspect.Position{Since: since}}
	all, parts, err := compareAll(t.Context(), i, q, func() bool { return true })
	if err != nil || all.Extra != 2500 || len(all.Differences) != 2500 || parts != 4 {
		t.Errorf("%d extra, %d named, in %d parts, %v", all.Extra, len(all.Differences), parts, err)
	}
	q.Over, q.Names = func() bool { return false }, 3
	if part, err := i.Compare(t.Context(), q); err != nil || len(part.Differences) != 3 {
		t.Errorf("%d named, %v, want 3", len(part.Differences), err)
	}
}

// A comparison that cannot be made is a fault, and never a difference.
func TestCompareRefuses(t *testing.T) {
	var entries []entry.Entry
	for n := range 100 {
		key := fmt.Sprintf("%03d", n)
		entries = append(entries, entry.Entry{Key: key, Address: "s3://lake/" + key, ModTime: since.Add(-time.Hour)})
	}
	bucket := &tokens{Store: memstore.Of(entries)}
	i, id := newInspector(t, bucket, entries)
	for name, c := range map[string]struct {
		change func(*inspect.Question)
		kind   fault.Kind
		text   string
	}{
		"no repository":         {func(q *inspect.Question) { q.Repository = "none" }, fault.NotFound, "repository"},
		"no metarange":          {func(q *inspect.Question) { q.Metarange = strings.Repeat("0", 64) }, fault.NotFound, "metarange"},
		"not allowed":           {func(q *inspect.Question) { q.Source = "s3://secret/" }, fault.Invalid, "not allowed"},
		"a store is away":       {func(*inspect.Question) { bucket.failures = 5 }, fault.Later, "connection reset"},
		"a walk ends too early": {func(*inspect.Question) { bucket.endsAt, bucket.early = "050", 3 }, fault.Invalid, "the walk left out a key, s3://lake/0"},
	} {
		bucket.failures, bucket.early = 0, 0
		q := inspect.Question{Repository: "repo", Metarange: id, Source: "s3://lake/", From: inspect.Position{Since: since}}
		c.change(&q)
		_, _, err := compareAll(t.Context(), i, q, func() bool { return false })
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want a fault %d with %q", name, err, c.kind, c.text)
		}
	}
}

// A walk that ends too early is begun again, however the comparison is divided.
func TestCompareBeginsAWalkAgain(t *testing.T) {
	var entries []entry.Entry
	for n := range 100 {
		key := fmt.Sprintf("%03d", n)
		entries = append(entries, entry.Entry{Key: key, Address: "s3://lake/" + key, ModTime: since.Add(-time.Hour)})
	}
	for _, over := range []bool{false, true} {
		bucket := &tokens{Store: memstore.Of(entries), endsAt: "050", early: 2}
		i, id := newInspector(t, bucket, entries)
		q := inspect.Question{Repository: "repo", Metarange: id, Source: "s3://lake/", From: inspect.Position{Since: since}}
		all, _, err := compareAll(t.Context(), i, q, func() bool { return over })
		if err != nil || all.Equal != 100 || all.Extra+all.Missing+all.Changed+all.Later > 0 || bucket.early > 0 {
			t.Errorf("in parts: %t: %+v, %v", over, all, err)
		}
	}
}

// A part whose time is over is no comparison.
func TestCompareEndsWithItsTime(t *testing.T) {
	bucket := &tokens{Store: memstore.Of(nil)}
	i, id := newInspector(t, bucket, []entry.Entry{{Key: "a", Address: "s3://lake/a", ModTime: since}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := i.Compare(ctx, inspect.Question{Repository: "repo", Metarange: id, Source: "s3://lake/", Over: func() bool { return false }})
	if err == nil {
		t.Error("it succeeds")
	}
}
