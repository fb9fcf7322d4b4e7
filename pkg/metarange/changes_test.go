package metarange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// changed is the naive twin of Compare.
func changed(before, after records) (c metarange.Changes) {
	for key, value := range after {
		old, had := before[key]
		switch {
		case !had:
			c.Added++
		case old == value:
			c.Unchanged++
		default:
			c.Replaced++
		}
	}
	for key := range before {
		if _, has := after[key]; !has {
			c.Removed++
		}
	}
	return c
}

// roomy is a budget for all groups of a test at a time.
func roomy() *metarange.Budget { return metarange.NewBudget(1<<30, nil) }

// compare compares trees beside one another, and checks that the ranges pass as they are.
func compare(ctx context.Context, files metarange.Files, before, after []partition.RangeMetadata) (c metarange.Changes, err error) {
	return compareWithin(ctx, files, before, after, roomy())
}

func compareWithin(ctx context.Context, files metarange.Files, before, after []partition.RangeMetadata, budget *metarange.Budget) (c metarange.Changes, err error) {
	var passed []partition.RangeMetadata
	for r, err := range metarange.Compare(ctx, files, metarange.List(before), metarange.List(after), budget, &c) {
		if err != nil {
			return c, err
		}
		passed = append(passed, r)
	}
	if !slices.Equal(passed, after) {
		return c, fmt.Errorf("of %d ranges came %d", len(after), len(passed))
	}
	return c, nil
}

// TestCompareCountsKeys compares random trees, cut by the same breaks and by others, one range
// after another, two groups at a time, and all at a time.
func TestCompareCountsKeys(t *testing.T) {
	r := random{seeded.Rand(t)}
	var seen metarange.Changes
	budgets := []*metarange.Budget{nil, metarange.NewBudget(1<<20, nil), roomy()}
	for trial := range 500 {
		files := newMemory()
		before := r.records(300, "")
		after := maps.Clone(before)
		for key := range before { // few, many or no keys stay
			switch r.rng.IntN(1 + trial%40) {
			case 1:
				delete(after, key)
			case 2:
				after[key] += "!"
			}
		}
		maps.Copy(after, r.records(1+trial%80, "", "m/"))
		if trial%7 == 0 {
			before, after = after, before
		}
		breaks := partition.Breaks{MaxSize: 200 + r.rng.Uint64N(2000), Raggedness: 1 + r.rng.Uint64N(40)}
		others := breaks
		if trial%3 == 0 {
			others.Raggedness++
		}
		got, err := compareWithin(t.Context(), files, before.ranges(t, files, breaks), after.ranges(t, files, others), budgets[trial%len(budgets)])
		if want := changed(before, after); err != nil || got != want {
			t.Fatalf("trial %d: %+v, %v, want %+v", trial, got, err, want)
		}
		seen.Added, seen.Replaced = seen.Added+got.Added, seen.Replaced+got.Replaced
		seen.Removed, seen.Unchanged = seen.Removed+got.Removed, seen.Unchanged+got.Unchanged
	}
	if seen.Added == 0 || seen.Replaced == 0 || seen.Removed == 0 || seen.Unchanged == 0 {
		t.Errorf("the trees never differed in some way: %+v", seen)
	}
}

// TestCompareReadsWhatDiffers changes one key in a tree of many ranges, and puts
// ranges between, before and behind those of another tree.
func TestCompareReadsWhatDiffers(t *testing.T) {
	tree := records{}
	for i := range 2000 {
		tree[fmt.Sprintf("k%04d", i)] = "v"
	}
	other := maps.Clone(tree)
	other["k1000"] = "w"
	files := newMemory()
	before, after := tree.ranges(t, files, byAnchor), other.ranges(t, files, byAnchor)
	files.forget()
	got, err := compare(t.Context(), files, before, after)
	if want := (metarange.Changes{Replaced: 1, Unchanged: 1999}); err != nil || got != want || len(files.got) != 2 {
		t.Errorf("%+v, %v, want %+v; %d of %d ranges were read, want 1 of each tree", got, err, want, len(files.got), len(before))
	}
	files.forget()
	third := len(before) / 3
	outer, inner := slices.Concat(before[:third], before[2*third:]), before[third:2*third]
	got, err = compare(t.Context(), files, outer, inner)
	if want := (metarange.Changes{Added: keysIn(inner), Removed: keysIn(outer)}); err != nil || got != want || len(files.got) > 0 {
		t.Errorf("%+v, %v, want %+v; %d ranges were read, want none", got, err, want, len(files.got))
	}
}

func keysIn(ranges []partition.RangeMetadata) (n int64) {
	for _, r := range ranges {
		n += r.Count
	}
	return n
}

func TestCompareReturnsErrorsOfFilesAndTrees(t *testing.T) {
	one, two := records{"a": "1", "b": "2"}, records{"a": "1", "b": "3"}
	files := newMemory()
	before, after := one.ranges(t, files, byAnchor), two.ranges(t, files, byAnchor)
	for _, missing := range []string{before[0].ID, after[0].ID} {
		data := files.data[missing]
		delete(files.data, missing)
		if _, err := compare(t.Context(), files, before, after); !errors.Is(err, errMissing) {
			t.Errorf("without %s: %v, want the error of the file", missing, err)
		}
		files.data[missing] = data
	}
	whole := files.data[after[0].ID]
	files.data[after[0].ID] = whole[:len(whole)/2]
	if _, err := compare(t.Context(), files, before, after); !errors.Is(err, table.ErrCorrupt) {
		t.Errorf("with a damaged file of the tree: %v", err)
	}
	files.data[after[0].ID] = whole
	broken := slices.Clone(before)
	broken[0].Count = 0
	if _, err := compare(t.Context(), files, broken, after); err == nil {
		t.Error("a tree before that is none passes")
	}
	var c metarange.Changes
	failing := func(yield func(partition.RangeMetadata, error) bool) { yield(partition.RangeMetadata{}, errMissing) }
	for _, err := range metarange.Compare(t.Context(), files, metarange.List(before), failing, roomy(), &c) {
		if !errors.Is(err, errMissing) {
			t.Errorf("error %v, want that of the tree", err)
		}
	}
}

// TestCompareOutlivesDamageOfTheTreeBefore damages a range of it anywhere: an import that
// replaces it must not fail because its keys cannot be counted.
func TestCompareOutlivesDamageOfTheTreeBefore(t *testing.T) {
	r := random{seeded.Rand(t)}
	tree := numbered("k", 3000)
	other := maps.Clone(tree)
	for key := range other {
		other[key] += "!"
	}
	breaks := partition.Breaks{MaxSize: 1 << 20, Raggedness: 500}
	for trial := range 200 {
		files := newMemory()
		before, after := tree.ranges(t, files, breaks), other.ranges(t, files, breaks)
		bad := before[r.rng.IntN(len(before))]
		if data := bytes.Clone(files.data[bad.ID]); trial > 0 {
			for range 1 + r.rng.IntN(3) {
				data[r.rng.IntN(len(data))] ^= byte(1 + r.rng.IntN(255))
			}
			files.data[bad.ID] = data
		} else {
			files.data[bad.ID] = nil
		}
		got, err := compare(t.Context(), files, before, after)
		if err != nil || got.Removed+got.Replaced+got.Unchanged != 3000 || got.Added+got.Replaced+got.Unchanged != 3000 || got.Removed > bad.Count {
			t.Fatalf("trial %d: %+v, %v; the damaged range has %d keys", trial, got, err, bad.Count)
		}
	}
}
