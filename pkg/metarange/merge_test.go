package metarange_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// merged is the naive twin of Merge; conflict is the least key of all in conflict.
func merged(base, ours, theirs records) (result records, conflict string) {
	result = records{}
	all := maps.Clone(base)
	maps.Copy(all, ours)
	maps.Copy(all, theirs)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b, inBase := base[key]
		o, inOurs := ours[key]
		t, inTheirs := theirs[key]
		value, has := o, inOurs
		switch {
		case inBase == inTheirs && b == t, inOurs == inTheirs && o == t:
		case inBase == inOurs && b == o:
			value, has = t, inTheirs
		default:
			return nil, key
		}
		if has {
			result[key] = value
		}
	}
	return result, ""
}

func merge(ctx context.Context, files *memory, breaks partition.Breaks, base, ours, theirs []partition.RangeMetadata) (got []partition.RangeMetadata, err error) {
	for r, err := range metarange.Merge(ctx, files, breaks, metarange.List(base), metarange.List(ours), metarange.List(theirs)) {
		if err != nil {
			return got, err
		}
		got = append(got, r)
	}
	return got, nil
}

// edit changes, removes and adds up to n keys.
func (r random) edit(tree records, n int, conflicting bool) records {
	edited := maps.Clone(tree)
	keys := slices.Sorted(maps.Keys(tree))
	for range r.rng.IntN(n + 1) {
		key := r.key()
		if len(keys) > 0 && r.rng.IntN(3) > 0 {
			key = keys[r.rng.IntN(len(keys))]
		}
		switch {
		case !conflicting && r.rng.IntN(2) == 0:
			edited[key] = "agreed"
		case r.rng.IntN(3) == 0:
			delete(edited, key)
		default:
			edited[key] = fmt.Sprint(r.rng.IntN(1000))
		}
	}
	return edited
}

// TestMergeEqualsNaive merges random trees that two sides changed.
func TestMergeEqualsNaive(t *testing.T) {
	r := random{seeded.Rand(t)}
	conflicts, clean := 0, 0
	for trial := range 600 {
		files := newMemory()
		breaks := partition.Breaks{MaxSize: 200 + r.rng.Uint64N(2000), Raggedness: 1 + r.rng.Uint64N(40)}
		base := r.records(300, "")
		ours := r.edit(base, 1+trial%30, trial%5 == 0)
		theirs := r.edit(base, 1+trial%20, trial%5 == 0)
		switch trial % 11 {
		case 0:
			ours = maps.Clone(base)
		case 1:
			theirs = maps.Clone(base)
		case 2:
			theirs = maps.Clone(ours)
		case 3:
			theirs = records{}
		}
		want, conflict := merged(base, ours, theirs)
		b, o, h := base.ranges(t, files, breaks), ours.ranges(t, files, breaks), theirs.ranges(t, files, breaks)
		got, err := merge(t.Context(), files, breaks, b, o, h)
		if conflict != "" {
			var found *metarange.ConflictError
			if !errors.As(err, &found) || found.Key != conflict {
				t.Fatalf("trial %d: %v, want a conflict about %q", trial, err, conflict)
			}
			conflicts++
			continue
		}
		if all := want.ranges(t, newMemory(), breaks); err != nil || !slices.Equal(got, all) {
			t.Fatalf("trial %d: %v:\n got %+v\nwant %+v", trial, err, got, all)
		}
		checkStored(t, fmt.Sprintf("trial %d", trial), files, got, want)
		clean++
	}
	if conflicts < 50 || clean < 50 {
		t.Errorf("%d trees were in conflict and %d were not", conflicts, clean)
	}
}

// TestMergeReadsWhatBothChanged takes back the last change of a large tree, and one
// before that.
func TestMergeReadsWhatBothChanged(t *testing.T) {
	files := newMemory()
	first := numbered("k", 2000)
	second, third := maps.Clone(first), records{}
	second["k000100"] = "w"
	maps.Copy(third, second)
	third["k001900"] = "w"
	a, b, c := first.ranges(t, files, byAnchor), second.ranges(t, files, byAnchor), third.ranges(t, files, byAnchor)
	files.forget()
	got, err := merge(t.Context(), files, byAnchor, c, c, b)
	if err != nil || !slices.Equal(got, b) || len(files.got) > 0 {
		t.Errorf("the last change is taken back by reading %d ranges, %v", len(files.got), err)
	}
	want, _ := merged(second, third, first)
	got, err = merge(t.Context(), files, byAnchor, b, c, a)
	if err != nil || !slices.Equal(got, want.ranges(t, newMemory(), byAnchor)) || len(files.got) > 3 {
		t.Errorf("the change before it is taken back by reading %d of %d ranges, %v", len(files.got), len(a), err)
	}
}

func TestMergeReturnsErrorsOfFilesAndTrees(t *testing.T) {
	files := newMemory()
	one, two, three := records{"a": "1", "b": "1"}, records{"a": "2", "b": "1"}, records{"a": "1", "b": "2"}
	b, o, h := one.ranges(t, files, byAnchor), two.ranges(t, files, byAnchor), three.ranges(t, files, byAnchor)
	for _, missing := range []string{b[0].ID, o[0].ID, h[0].ID} {
		data := files.data[missing]
		delete(files.data, missing)
		if _, err := merge(t.Context(), files, byAnchor, b, o, h); !errors.Is(err, errMissing) {
			t.Errorf("without %s: %v, want the error of the file", missing, err)
		}
		files.data[missing] = data
	}
	broken := slices.Clone(b)
	broken[0].Count = 0
	for _, trees := range [][3][]partition.RangeMetadata{{broken, o, h}, {b, broken, h}, {b, o, broken}} {
		if _, err := merge(t.Context(), files, byAnchor, trees[0], trees[1], trees[2]); err == nil {
			t.Error("a tree that is none passes")
		}
	}
}
