package metarange_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/internal/tampered"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/table"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// tree is a stored tree whose files can be tampered with, and an import of every
// second of its keys.
type tree struct {
	files    *memory
	id       string // of the metarange
	imported string // of the metarange of what is imported
	listed   []metarange.Item
	merged   string // ID of the tree with the import
}

func newTree(t *testing.T) tree {
	t.Helper()
	base, half := map[string]entry.Entry{}, map[string]entry.Entry{}
	for i, k := range slices.Sorted(maps.Keys(numbered("dir/k", 300))) {
		base[k] = entry.Entry{Key: k, Address: "s3://b/" + k, ModTime: time.Unix(1, 0)}
		if i%2 == 0 {
			half[k] = entry.Entry{Key: k, Address: "s3://b/new/" + k, ETag: "e", ModTime: time.Unix(2, 0)}
		}
	}
	tr := tree{files: newMemory()}
	write := func(entries map[string]entry.Entry) string {
		id, err := metarange.Write(t.Context(), tr.files, valuesOf(entries).ranges(t, tr.files, small))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	tr.id, tr.imported, tr.merged = write(base), write(half), write(valuesOfBoth(base, half))
	var err error
	if tr.listed, err = tr.list(t.Context(), tr.files); err != nil || len(tr.listed) != 300 {
		t.Fatalf("listed %d keys, %v", len(tr.listed), err)
	}
	if id, err := tr.merge(t.Context(), tr.files); err != nil || id != tr.merged {
		t.Fatalf("merged into %s, %v, want %s", id, err, tr.merged)
	}
	return tr
}

// valuesOfBoth returns base with those of over put over them.
func valuesOfBoth(base, over map[string]entry.Entry) map[string]entry.Entry {
	all := maps.Clone(base)
	maps.Copy(all, over)
	return all
}

// list lists the tree like a coordinator that was just started.
func (tr tree) list(ctx context.Context, files *memory) ([]metarange.Item, error) {
	opened, err := metarange.Open(ctx, tablecache.New(1<<20, nil).In("", files), "", tr.id)
	if err != nil {
		return nil, err
	}
	items, more, err := opened.List(ctx, "", "", "", 400)
	if err == nil && more {
		err = errors.New("there is more")
	}
	return items, err
}

// merge imports every second key, and returns the ID of the tree.
func (tr tree) merge(ctx context.Context, files *memory) (string, error) {
	imported, err := metarange.Read(ctx, files, tr.imported)
	if err != nil {
		return "", err
	}
	ranges, count, err := metarange.Land(ctx, files, small, tr.id, foldOf(imported), metarange.Removed{}, nil, new(metarange.Changes))
	if err != nil {
		return "", err
	}
	return metarange.WriteAll(ctx, files, ranges, count+len(imported))
}

// Whatever is changed in a file of a tree, what lists the tree or imports into it
// does so rightly, or fails with ErrCorrupt and the name of the file.
func TestTamperedTrees(t *testing.T) {
	const mutations = 1000
	rng := seeded.Rand(t)
	tr := newTree(t)
	ids := slices.Sorted(maps.Keys(tr.files.data))
	parts := map[string]*tampered.File{}
	for _, id := range ids {
		parts[id] = tampered.TakeApart(tr.files.data[id])
	}
	var listFailed, mergeFailed int
	for i := range mutations {
		id := ids[rng.IntN(len(ids))]
		if i%2 == 0 {
			id = tr.id // among many ranges
		}
		files := newMemory()
		maps.Copy(files.data, tr.files.data)
		files.data[id] = parts[id].Mutated(rng)

		switch items, err := tr.list(t.Context(), files); {
		case err != nil:
			listFailed++
			wantCorrupt(t, err, id)
		case !slices.Equal(items, tr.listed):
			t.Errorf("mutation %d of %s: listed %d items, which are not the tree's", i, id, len(items))
		}
		switch merged, err := tr.merge(t.Context(), files); {
		case err != nil:
			mergeFailed++
			wantCorrupt(t, err, id)
		case merged != tr.merged:
			t.Errorf("mutation %d of %s: merged into %s", i, id, merged)
		}
	}
	if listFailed < mutations/3 || mergeFailed < mutations/2 {
		t.Errorf("of %d mutations %d were seen by listings and %d by imports", mutations, listFailed, mergeFailed)
	}
}

func wantCorrupt(t *testing.T, err error, id string) {
	t.Helper()
	if !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), id) {
		t.Errorf("error %v, want ErrCorrupt that names %s", err, id)
	}
}

// A range file whose restart points lie outside of their block, with checksums that
// are right, took the process down that listed it.
func TestListOfRangeWithRestartPointsOutsideOfTheirBlock(t *testing.T) {
	tr := newTree(t)
	ranges, err := metarange.Read(t.Context(), tr.files, tr.id)
	if err != nil {
		t.Fatal(err)
	}
	id := ranges[1].ID
	f := tampered.TakeApart(tr.files.data[id])
	block := slices.Clone(f.Data()[0])
	copy(block[len(block)-12:], "\x00\x00\x00\x7f\xff\xff\xff\x7f\x02\x00\x00\x00")
	f.SetData(0, block)
	tr.files.data[id] = f.Bytes()
	_, err = tr.list(t.Context(), tr.files)
	wantCorrupt(t, err, id)
	_, err = tr.merge(t.Context(), tr.files)
	wantCorrupt(t, err, id)
}

// Reading a metarange that claims to hold 1<<33 ranges once asked for 512 GiB.
func TestMetarangeThatClaimsTooManyRanges(t *testing.T) {
	tr := newTree(t)
	for _, count := range []string{"8589934592", "100000"} { // the second is one that a file of that size might hold
		f := tampered.TakeApart(tr.files.data[tr.id])
		f.SetProperty("count", count)
		files := newMemory()
		maps.Copy(files.data, tr.files.data)
		files.data[tr.id] = f.Bytes()
		_, err := tr.list(t.Context(), files)
		wantCorrupt(t, err, tr.id)
		_, err = tr.merge(t.Context(), files)
		wantCorrupt(t, err, tr.id)
		_, err = metarange.Read(t.Context(), files, tr.id)
		wantCorrupt(t, err, tr.id)
	}
}
