package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/coordinator/edit"
	"github.com/rangefleet/rangefleet/pkg/coordinator/inspect"
	"github.com/rangefleet/rangefleet/pkg/coordinator/refdump"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// fakeService returns what a test put into it.
type fakeService struct {
	started  coordinator.Start
	startErr error
	statuses map[string]coordinator.Status
	err      error // of every call, if set
	canceled []string
	ingest   coordinator.Ingest
	ingested coordinator.Ingested
	ranges   []partition.RangeMetadata
	tree     *metarange.Tree
	left     *metarange.Tree                                                       // that Diff compares with the tree
	content  func(ctx context.Context, key string, from, to int64) ([]byte, error) // nil: it may not be read

	tried     coordinator.Tried
	trySource string
	trySeed   uint64
	moved     string // "user repository branch ref" of the last reset
	reverted  coordinator.Revert
	committed edit.Commit
	merged    edit.Merge
}

func (f *fakeService) Start(ctx context.Context, s coordinator.Start) (string, error) {
	if _, err := (fakeCatalog{}).Branch(ctx, s.Request.Repository, s.Request.Branch); err != nil {
		return "", err
	}
	f.started = s
	return "cq3k2v0t5cs0a1b2c3d0", errors.Join(f.err, f.startErr)
}

func (f *fakeService) Status(_ context.Context, _, id string) (coordinator.Status, error) {
	if f.err != nil {
		return coordinator.Status{}, f.err
	}
	st, ok := f.statuses[id]
	if !ok {
		return st, fault.Missing("import")
	}
	return st, nil
}

func (f *fakeService) Cancel(_ context.Context, _, id string) error {
	f.canceled = append(f.canceled, id)
	if f.statuses[id].Record.State == imports.Completed {
		return fault.Conflicting("the import is completed")
	}
	return f.err
}

func (f *fakeService) IngestRange(_ context.Context, _ string, r coordinator.Ingest) (coordinator.Ingested, error) {
	f.ingest = r
	return f.ingested, f.err
}

func (f *fakeService) CreateMetarange(_ context.Context, _ string, ranges []partition.RangeMetadata) (string, error) {
	f.ranges = ranges
	return strings.Repeat("ab", 32), f.err
}

func (f *fakeService) CheckNamespace(_ context.Context, namespace string) error {
	if namespace == "local:///etc" {
		return fault.BadField("storage_namespace", "/etc lies outside of the allowed directories")
	}
	if namespace == "s3://away" {
		return fault.Unavailable("storage_namespace", "the store does not answer")
	}
	return f.err
}

func (f *fakeService) DeleteRepository(ctx context.Context, id string) error {
	if id == "busy" {
		return fault.Conflicting("repository has running imports")
	}
	_, err := fakeCatalog{}.Repository(ctx, id)
	return errors.Join(f.err, err)
}

func (f *fakeService) DeleteBranch(ctx context.Context, user, repository, branch string) error {
	f.moved = strings.Join([]string{user, repository, branch, "deleted"}, " ")
	if branch == mainHead.Name {
		return fault.Forbid("cannot delete repository default branch")
	}
	_, err := fakeCatalog{}.Branch(ctx, repository, branch)
	return errors.Join(f.err, err)
}

func (f *fakeService) TrySource(_ context.Context, source string, seed uint64) (coordinator.Tried, error) {
	if source == "s3://busy/" {
		return coordinator.Tried{}, fault.TooMany("2 trials are under way")
	}
	f.trySource, f.trySeed = source, seed
	return f.tried, f.err
}

func (f *fakeService) ResetBranch(ctx context.Context, user, repository, branch, ref string) error {
	if ref == "lost" {
		return fault.Conflicting("branch was moved by somebody else")
	}
	f.moved = strings.Join([]string{user, repository, branch, ref}, " ")
	_, err := fakeCatalog{}.Branch(ctx, repository, branch)
	return errors.Join(f.err, err)
}

func (f *fakeService) Revert(ctx context.Context, r coordinator.Revert) (catalog.Commit, error) {
	if r.Ref == "lost" {
		return catalog.Commit{}, fault.Conflicting("changed by a later commit")
	}
	f.reverted = r
	_, err := fakeCatalog{}.Branch(ctx, r.Repository, r.Branch)
	return imported, errors.Join(f.err, err)
}

func (f *fakeService) Tree(_ context.Context, _, ref string) (*metarange.Tree, error) {
	if ref != "main" {
		return nil, fault.Missing("ref")
	}
	return f.tree, f.err
}

func (f *fakeService) Commit(ctx context.Context, c edit.Commit) (catalog.Commit, error) {
	f.committed = c
	_, err := fakeCatalog{}.Branch(ctx, c.Repository, c.Branch)
	if err == nil && c.Tree == "" && !c.AllowEmpty {
		err = fault.BadField("", "no changes")
	}
	return imported, errors.Join(f.err, err)
}

func (f *fakeService) Diff(ctx context.Context, repository, left, right string, threeDot bool) (metarange.Diff, error) {
	if _, err := (fakeCatalog{}).Branch(ctx, repository, left); err != nil {
		return metarange.Diff{}, err
	}
	if right == "two" && threeDot || right == "three" && !threeDot {
		return metarange.Diff{}, fault.Missing("ref")
	}
	return metarange.Diff{Left: f.left, Right: f.tree}, f.err
}

func (f *fakeService) Touching(_ context.Context, _ string, p coordinator.Paths) (func(context.Context, catalog.Commit) (bool, error), error) {
	return func(_ context.Context, c catalog.Commit) (bool, error) {
		return slices.Contains(p.Objects, c.ID) || slices.Contains(p.Prefixes, c.ID[:1]), f.err
	}, nil
}

func (f *fakeService) Merge(ctx context.Context, m edit.Merge) (catalog.Commit, error) {
	f.merged = m
	_, err := fakeCatalog{}.Branch(ctx, m.Repository, m.Destination)
	if err == nil && m.Source == "diverged" {
		err = fault.Conflicting("conflict found")
	}
	return imported, errors.Join(f.err, err)
}

func (f *fakeService) MergeBase(ctx context.Context, repository, source, _ string) (edit.Base, error) {
	_, err := fakeCatalog{}.Branch(ctx, repository, source)
	return edit.Base{Source: catalog.Commit{ID: "s"}, Destination: imported, Base: first}, errors.Join(f.err, err)
}

func (f *fakeService) Content(_ context.Context, _ string, e entry.Entry) (coordinator.Parts, error) {
	if f.content == nil {
		return nil, fault.Forbid("not allowed")
	}
	return func(ctx context.Context, from, to int64) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			for at := from; ; at += limits.ContentPart {
				part, err := f.content(ctx, e.Key, at, min(to, at+limits.ContentPart))
				if !yield(part, err) || err != nil || at+limits.ContentPart >= to {
					return
				}
			}
		}
	}, f.err
}

// fakeImports has the imports in the order in which it lists them.
type fakeImports struct {
	records []imports.Record
	err     error // yielded after them, if set
}

func (f *fakeImports) Newest(_ context.Context, after string) iter.Seq2[imports.Record, error] {
	return func(yield func(imports.Record, error) bool) {
		for _, r := range f.records {
			if (after == "" || r.Job.ImportID < after) && !yield(r, nil) {
				return
			}
		}
		if f.err != nil {
			yield(imports.Record{}, f.err)
		}
	}
}

// fakeDumper dumps a repository.
type fakeDumper struct{ err error }

func (d fakeDumper) Dump(ctx context.Context, repository string) (refdump.Dump, error) {
	_, err := fakeCatalog{}.Repository(ctx, repository)
	return refdump.Dump{Branches: "b1", Tags: "t1", Commits: "c1"}, errors.Join(err, d.err)
}

// fakeInspector has one tree, of one range for each key.
type fakeInspector struct{}

func (fakeInspector) Verify(ctx context.Context, repository, id, after string) (iter.Seq2[metarange.Verified, error], error) {
	if _, err := (fakeCatalog{}).Repository(ctx, repository); err != nil {
		return nil, err
	}
	if id != "m2" {
		return nil, fault.Missing("metarange")
	}
	return func(yield func(metarange.Verified, error) bool) {
		for i, key := range []string{"a", "b", "c"} {
			v := metarange.Verified{Range: partition.RangeMetadata{ID: "r" + key, MinKey: key, MaxKey: key, Count: int64(i + 1), EstimatedSize: 9}}
			if key == "b" {
				v.Fault = errors.New("read range rb: not found")
			}
			if key > after && !yield(v, nil) {
				return
			}
		}
		if after == "c" {
			yield(metarange.Verified{}, fmt.Errorf("read metarange m2: %w", table.ErrCorrupt))
		}
	}, nil
}

// Compare finds a difference of each kind, the last one in a part of its own.
func (fakeInspector) Compare(_ context.Context, q inspect.Question) (inspect.Comparison, error) {
	if q.Source == "s3://secret/" {
		return inspect.Comparison{}, fault.BadField("source", "not allowed")
	}
	if q.From.After != "" {
		return inspect.Comparison{Extra: 1, Differences: []inspect.Difference{{Key: q.Destination + "c", Kind: inspect.Extra}}}, nil
	}
	next := q.From
	next.After = "d/b"
	written := time.Unix(1767323045, 0)
	return inspect.Comparison{Equal: 7, Missing: 1, Changed: 1, Next: &next, Differences: []inspect.Difference{
		{Key: q.Destination + "a", Kind: inspect.Missing, ModTime: written},
		{Key: q.Destination + "b", Kind: inspect.Changed, Fields: []string{"size", "etag"}, ModTime: written},
	}}, nil
}

// files keeps files in memory.
type files map[string][]byte

func (f files) Put(_ context.Context, id string, data []byte, _ objectstore.Sum) error {
	f[id] = bytes.Clone(data)
	return nil
}

// Open implements metarange.Opener.
func (f files) Open(ctx context.Context, id string) (table.File, error) {
	data, err := f.Get(ctx, id)
	return table.Bytes(data), err
}

func (f files) Get(_ context.Context, id string) ([]byte, error) {
	data, ok := f[id]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// treeOf returns a tree of one range with the keys, which are sorted.
func treeOf(t *testing.T, keys ...string) *metarange.Tree {
	t.Helper()
	var entries []entry.Entry
	for _, k := range keys {
		entries = append(entries, entry.Entry{Key: k, Address: "s3://src/" + k, ETag: "e", Size: 7, ModTime: created})
	}
	return treeWith(t, entries...)
}

// treeWith returns a tree of one range with the entries, which are sorted.
func treeWith(t *testing.T, entries ...entry.Entry) *metarange.Tree {
	t.Helper()
	b := entrytest.Batch(entries...)
	defer b.Release()
	w := table.NewWriter(table.Ranges)
	for i := range b.Len() {
		if err := w.Add(b.Key(i), rangetest.Value(b.Entry(i))); err != nil {
			t.Fatal(err)
		}
	}
	tab := w.Close()
	store := files{tab.Meta.ID: tab.Data}
	id, err := metarange.Write(t.Context(), store, []partition.RangeMetadata{tab.Meta})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := metarange.Open(t.Context(), store, "", id)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
