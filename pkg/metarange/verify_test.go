package metarange_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/internal/tampered"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// stored is files that report missing ones as a store does.
type stored struct{ *memory }

func (s stored) GetRange(ctx context.Context, id string, offset, n int64) ([]byte, int64, error) {
	part, size, err := s.memory.GetRange(ctx, id, offset, n)
	if errors.Is(err, errMissing) {
		err = fmt.Errorf("%s: %w", id, objectstore.ErrNotFound)
	}
	return part, size, err
}

// verify returns the verified ranges of a tree, and the IDs of those with a fault.
func verify(ctx context.Context, files metarange.Parts, id, after string) (ranges []partition.RangeMetadata, faults []string, err error) {
	for v, err := range metarange.Verify(ctx, files, id, after) {
		if err != nil {
			return ranges, faults, err
		}
		ranges = append(ranges, v.Range)
		if v.Fault != nil {
			faults = append(faults, v.Range.ID)
		}
	}
	return ranges, faults, nil
}

// What a lakeFS server wrote is sound.
func TestVerifyFilesOfLakeFS(t *testing.T) {
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		files := newMemory()
		maps.Copy(files.data, l.Files)
		want, err := metarange.Read(t.Context(), files, l.MetarangeID)
		if err != nil {
			t.Fatal(err)
		}
		got, faults, err := verify(t.Context(), files, l.MetarangeID, "")
		if err != nil || len(faults) > 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %d ranges, faults %q, %v, want %d", l.Name, len(got), faults, err, len(want))
		}
	}
}

// Every range file with another content is a fault of that range alone, unless it still holds
// the same records. A changed metarange ends the verification.
func TestVerifyTamperedFiles(t *testing.T) {
	const mutations = 500
	rng := seeded.Rand(t)
	tr := newTree(t)
	want, _, err := verify(t.Context(), tr.files, tr.id, "")
	if err != nil {
		t.Fatal(err)
	}
	var found int
	for i := range mutations {
		id := tr.id
		if i%4 > 0 {
			id = want[rng.IntN(len(want))].ID
		}
		files := newMemory()
		maps.Copy(files.data, tr.files.data)
		files.data[id] = tampered.TakeApart(tr.files.data[id]).Mutated(rng)
		got, faults, err := verify(t.Context(), files, tr.id, "")
		switch {
		case err != nil:
			found++
			wantCorrupt(t, err, tr.id)
			if id != tr.id {
				t.Errorf("mutation %d of range %s ended the verification: %v", i, id, err)
			}
		case !slices.Equal(got, want):
			t.Errorf("mutation %d of %s: %d ranges, want %d", i, id, len(got), len(want))
		case len(faults) > 0:
			found++
			if !slices.Equal(faults, []string{id}) {
				t.Errorf("mutation %d of %s is taken for a fault of %q", i, id, faults)
			}
		}
	}
	if found < mutations*2/3 {
		t.Errorf("%d of %d mutations were found", found, mutations)
	}
}

func TestVerifyWhatTheMetarangeSays(t *testing.T) {
	files := stored{newMemory()}
	entries := map[string]entry.Entry{}
	for k := range numbered("k", 400) {
		entries[k] = entry.Entry{Key: k, Address: "s3://b/" + k, ModTime: time.Unix(1, 0)}
	}
	ranges := valuesOf(entries).ranges(t, files.memory, small)
	id, err := metarange.Write(t.Context(), files, ranges)
	if err != nil {
		t.Fatal(err)
	}
	lie := func(change func(*partition.RangeMetadata)) string {
		changed := slices.Clone(ranges)
		change(&changed[1])
		id, err := metarange.Write(t.Context(), files, changed)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	missing := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		id, after string
		skipped   int
		faults    []string
	}{
		"a tree":               {id: id},
		"after the first":      {id: id, after: ranges[0].MaxKey, skipped: 1},
		"within the second":    {id: id, after: ranges[1].MinKey, skipped: 1},
		"after the second":     {id: id, after: ranges[1].MaxKey, skipped: 2},
		"the empty tree":       {skipped: len(ranges)},
		"a missing file":       {id: lie(func(r *partition.RangeMetadata) { r.ID = missing }), faults: []string{missing}},
		"another range's file": {id: lie(func(r *partition.RangeMetadata) { r.ID = ranges[2].ID }), faults: []string{ranges[2].ID}},
		"a wrong count":        {id: lie(func(r *partition.RangeMetadata) { r.Count++ }), faults: []string{ranges[1].ID}},
		"a wrong first key":    {id: lie(func(r *partition.RangeMetadata) { r.MinKey = r.MaxKey }), faults: []string{ranges[1].ID}},
		"a wrong size":         {id: lie(func(r *partition.RangeMetadata) { r.EstimatedSize++ }), faults: []string{ranges[1].ID}},
	} {
		got, faults, err := verify(t.Context(), files, c.id, c.after)
		if err != nil || len(got) != len(ranges)-c.skipped || !slices.Equal(faults, c.faults) {
			t.Errorf("%s: %d ranges of %d, faults %q, %v, want %q", name, len(got), len(ranges)-c.skipped, faults, err, c.faults)
		}
	}
}

// Records that are not entries make a table with a right ID, but no range.
func TestVerifyRecordsThatAreNoEntries(t *testing.T) {
	files := newMemory()
	ranges := numbered("k", 3).ranges(t, files, small)
	id, err := metarange.Write(t.Context(), files, ranges)
	if err != nil {
		t.Fatal(err)
	}
	if _, faults, err := verify(t.Context(), files, id, ""); err != nil || !slices.Equal(faults, ids(ranges)) {
		t.Errorf("faults %q, %v, want %q", faults, err, ids(ranges))
	}
}

// An error of the store says nothing about the file.
func TestVerifyWhileTheStoreFails(t *testing.T) {
	tr := newTree(t)
	for i := range 5 {
		_, faults, err := verify(t.Context(), &failingAfter{tr.files, i}, tr.id, "")
		if !errors.Is(err, errAway) || errors.Is(err, table.ErrCorrupt) || len(faults) > 0 {
			t.Errorf("after %d reads: faults %q, %v", i, faults, err)
		}
	}
}

var errAway = errors.New("the store does not answer")

// failingAfter is files that can be read so many times.
type failingAfter struct {
	metarange.Parts
	left int
}

func (f *failingAfter) GetRange(ctx context.Context, id string, offset, n int64) ([]byte, int64, error) {
	if f.left--; f.left < 0 {
		return nil, 0, errAway
	}
	return f.Parts.GetRange(ctx, id, offset, n)
}
