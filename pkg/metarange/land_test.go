package metarange_test

import (
	"fmt"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// TestLand compares Land with writing everything again, and its counts with naive ones, for
// random trees.
func TestLand(t *testing.T) {
	r := random{seeded.Rand(t)}
	for trial := range 200 {
		files := newMemory()
		base, imported := r.records(300, "", "data/"), r.records(100, "data/")
		dirs, keys := r.destinations()
		id, err := metarange.Write(t.Context(), files, base.ranges(t, files, small))
		if err != nil {
			t.Fatal(err)
		}
		if trial%10 == 0 {
			id, base = "", records{}
		}
		want := base.without(dirs, keys).plus(imported)
		wantID, err := metarange.Write(t.Context(), files, want.ranges(t, files, small))
		if err != nil {
			t.Fatal(err)
		}
		got, changes, err := land(t, files, small, id, imported.ranges(t, files, small), metarange.Removed{Prefixes: dirs, Keys: keys})
		if err != nil || got != wantID || changes != changed(base, want) {
			t.Fatalf("trial %d: landed %s, %+v, %v, want %s, %+v", trial, got, changes, err, wantID, changed(base, want))
		}
	}
}

func land(t *testing.T, files metarange.FilesInParts, breaks partition.Breaks, base string, imported []partition.RangeMetadata, removed metarange.Removed) (id string, changes metarange.Changes, err error) {
	t.Helper()
	ranges, count, err := metarange.Land(t.Context(), files, breaks, base, foldOf(imported), removed, roomy(), &changes)
	if err != nil {
		return "", changes, err
	}
	id, err = metarange.WriteAll(t.Context(), files, ranges, count+len(imported))
	return id, changes, err
}

// foldOf returns the fold of an import with the ranges.
func foldOf(ranges []partition.RangeMetadata) partition.Fold {
	var chain partition.Chain
	after := ""
	for _, r := range ranges {
		chain.Add(partition.Cover{Span: partition.Span{After: after, Upto: r.MaxKey}, Range: &r})
		after = r.MaxKey
	}
	return chain.Fold()
}

// TestLandOnLargeTree lands imports on a tree whose metarange is larger than the parts of it
// that are in memory: replaced as a whole, the two passes over it are far apart.
func TestLandOnLargeTree(t *testing.T) {
	const n = 100_000
	files := newMemory()
	base := make([]partition.RangeMetadata, n)
	for i := range base {
		base[i] = hugeRange(i)
	}
	id, err := metarange.Write(t.Context(), files, base)
	if err != nil {
		t.Fatal(err)
	}
	last := hugeRange(n)
	for _, tc := range []struct {
		removed metarange.Removed
		left    []partition.RangeMetadata
	}{
		{metarange.Removed{}, append(base[:n:n], last)},
		{metarange.Removed{Prefixes: []string{""}}, []partition.RangeMetadata{last}},
	} {
		want, err := metarange.Write(t.Context(), files, tc.left)
		if err != nil {
			t.Fatal(err)
		}
		files.forget()
		got, _, err := land(t, files, partition.DefaultBreaks, id, []partition.RangeMetadata{last}, tc.removed)
		if err != nil || got != want {
			t.Fatalf("landed %s, %v, want %s", got, err, want)
		}
		size := len(files.data[id])
		if most := 2 * (size>>22 + 3); len(files.got) > most {
			t.Errorf("%d reads of a metarange of %d MiB, want at most %d", len(files.got), size>>20, most)
		}
	}
	files.data[id], err = otherTree(t, files, n)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = land(t, files, partition.DefaultBreaks, id, []partition.RangeMetadata{last}, metarange.Removed{})
	wantCorrupt(t, err, id)
}

// otherTree returns the file of a metarange of n other ranges.
func otherTree(t *testing.T, files *memory, n int) ([]byte, error) {
	t.Helper()
	ranges := make([]partition.RangeMetadata, n)
	for i := range ranges {
		ranges[i] = hugeRange(i)
		ranges[i].ID = fmt.Sprintf("%064d", i)
	}
	id, err := metarange.Write(t.Context(), files, ranges)
	return files.data[id], err
}
