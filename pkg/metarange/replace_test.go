package metarange_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// small breaks ranges by anchors and by size, every few keys.
var small = partition.Breaks{MaxSize: 600, Raggedness: 8}

// byAnchor breaks ranges at anchors alone.
var byAnchor = partition.Breaks{MaxSize: 1 << 20, Raggedness: 16}

// random makes trees and imports.
type random struct{ rng *rand.Rand }

func (r random) pick(of ...string) string { return of[r.rng.IntN(len(of))] }

// key returns a key with siblings that share prefixes with directories; keys of
// other writers need not be valid UTF-8.
func (r random) key() string {
	k := r.pick("a", "data", "data!", "data/", "data/\xff", "data0", "data2", "dat", "e\U0001F600", "z")
	for range r.rng.IntN(3) {
		k += r.pick("/", "/x", "/y/", "-") + r.pick("0", "1", "é", "/")
	}
	return k + fmt.Sprint(r.rng.IntN(200))
}

// records returns up to n records, whose keys start with one of the prefixes.
func (r random) records(n int, prefixes ...string) records {
	all := records{}
	for range r.rng.IntN(n + 1) {
		value := strings.Repeat(r.pick("v", "\x00\xff", "w"), r.rng.IntN(60))
		all[r.pick(prefixes...)+r.key()] = value
	}
	return all
}

// destinations returns directories and keys of an import.
func (r random) destinations() (dirs, keys []string) {
	for range r.rng.IntN(3) {
		dirs = append(dirs, r.pick("", "data/", "data/x0", "a/x1", "data2/", "none", "z-0", "e\U0001F600/")+"/")
	}
	for i, d := range dirs {
		dirs[i] = strings.TrimPrefix(strings.ReplaceAll(d, "//", "/"), "/") // "/" stands for everything
	}
	for range r.rng.IntN(3) {
		keys = append(keys, r.key())
	}
	return dirs, keys
}

// TestReplaceIsCanonical compares Replace with writing everything again, for
// random trees, imports, destinations and breaks.
func TestReplaceIsCanonical(t *testing.T) {
	var seen seenCases
	r := random{seeded.Rand(t)}
	for trial := range 400 {
		c := r.replaceCase(t)
		got := c.compare(t, fmt.Sprintf("trial %d", trial))
		seen.add(c, got)
	}
	t.Logf("%+v", seen)
	if seen.anchors == 0 || seen.sizes == 0 || seen.kept == 0 || seen.cut == 0 || seen.everything == 0 || seen.overlaps == 0 {
		t.Errorf("the trials do not cover every case: %+v", seen)
	}
}

// replaceCase is a stored tree, and a stored import into it.
type replaceCase struct {
	files          *memory
	breaks         partition.Breaks
	removed        metarange.Removed
	left, comes    records // of the tree without the removed keys; of the import
	base, imported []partition.RangeMetadata
}

func (r random) replaceCase(t *testing.T) replaceCase {
	t.Helper()
	c := replaceCase{files: newMemory(), breaks: partition.Breaks{MaxSize: 200 + r.rng.Uint64N(2000), Raggedness: 1 + r.rng.Uint64N(40)}}
	dirs, keys := r.destinations()
	tree := r.records(300, "")
	c.comes = r.records(120, append(slices.Clone(dirs), r.pick("", "m/"))...)
	for _, k := range keys {
		c.comes[k] = "an object"
	}
	c.removed = metarange.Removed{Prefixes: dirs, Keys: keys}
	c.left = tree.without(dirs, keys)
	c.base, c.imported = tree.ranges(t, c.files, c.breaks), c.comes.ranges(t, c.files, c.breaks)
	c.files.forget()
	return c
}

// known returns the IDs of the ranges that are stored before the import.
func (c replaceCase) known() []string { return slices.Concat(ids(c.base), ids(c.imported)) }

// compare replaces, compares with the naive twin, and returns the ranges.
func (c replaceCase) compare(t *testing.T, name string) []partition.RangeMetadata {
	t.Helper()
	got, err := tryReplace(t.Context(), c.files, c.breaks, c.base, c.imported, c.removed)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	all := c.left.plus(c.comes)
	if want := all.ranges(t, newMemory(), c.breaks); !slices.Equal(got, want) {
		t.Fatalf("%s: breaks %+v, removed %q:\n got %+v\nwant %+v", name, c.breaks, c.removed, got, want)
	}
	for _, id := range c.files.put {
		if slices.Contains(c.known(), id) {
			t.Errorf("%s: stored %s, which was stored already", name, id)
		}
	}
	checkStored(t, name, c.files, got, all)
	return got
}

// seenCases counts what the cases of a test have in them.
type seenCases struct{ anchors, sizes, kept, cut, everything, overlaps int }

// add counts a case and the ranges that came of it.
func (s *seenCases) add(c replaceCase, got []partition.RangeMetadata) {
	known := c.known()
	for _, r := range got {
		if c.breaks.Anchor([]byte(r.MaxKey)) {
			s.anchors++
		} else if r.EstimatedSize >= c.breaks.MaxSize {
			s.sizes++
		}
		if !slices.Contains(known, r.ID) {
			s.cut++
		} else if !slices.Contains(c.files.got, r.ID) {
			s.kept++
		}
	}
	if slices.Contains(c.removed.Prefixes, "") {
		s.everything++
	}
	if len(c.left.plus(c.comes)) < len(c.left)+len(c.comes) {
		s.overlaps++
	}
}

// checkStored compares what the files of ranges hold with the records.
func checkStored(t *testing.T, name string, files *memory, ranges []partition.RangeMetadata, want records) {
	t.Helper()
	n := 0
	for _, r := range ranges {
		for rec, err := range readRange(t, files, r.ID) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if value, ok := want[string(rec.Key)]; !ok || value != string(rec.Value) {
				t.Fatalf("%s: stored %q with the value %q, want %q (%t)", name, rec.Key, rec.Value, value, ok)
			}
			n++
		}
	}
	if n != len(want) {
		t.Fatalf("%s: stored %d records, want %d", name, n, len(want))
	}
}

func TestReplaceTwiceIsReplaceOnce(t *testing.T) {
	files := newMemory()
	base := numbered("a/", 300).plus(numbered("data/", 300)).plus(numbered("z/", 300)).ranges(t, files, small)
	imported := numbered("data/new-", 200).ranges(t, files, small)
	removed := metarange.Removed{Prefixes: []string{"data/"}}

	once := replace(t, files, small, base, imported, removed)
	files.forget()
	twice := replace(t, files, small, once, imported, removed)
	if !slices.Equal(once, twice) {
		t.Errorf("once %v\ntwice %v", ids(once), ids(twice))
	}
	if len(files.put) > 0 {
		t.Errorf("stored %q again", files.put)
	}
}

func TestReplaceInAnEmptyTreeIsTheImport(t *testing.T) {
	files := newMemory()
	imported := numbered("x", 500).ranges(t, files, small)
	for _, removed := range []metarange.Removed{{}, {Prefixes: []string{""}}, {Prefixes: []string{"y/"}, Keys: []string{"x000007"}}} {
		files.forget()
		if got := replace(t, files, small, nil, imported, removed); !slices.Equal(got, imported) {
			t.Errorf("%+v: got %v, want the import's ranges %v", removed, ids(got), ids(imported))
		}
		if len(files.got)+len(files.put) > 0 {
			t.Errorf("%+v: read %q and stored %q, want nothing of both", removed, files.got, files.put)
		}
	}
}

func TestReplaceOfEverything(t *testing.T) {
	files := newMemory()
	base := numbered("a", 500).ranges(t, files, small)
	imported := numbered("b", 100).ranges(t, files, small)
	for _, comes := range [][]partition.RangeMetadata{imported, nil} {
		files.forget()
		got := replace(t, files, small, base, comes, metarange.Removed{Prefixes: []string{""}})
		if !slices.Equal(got, comes) {
			t.Errorf("got %v, want %v", ids(got), ids(comes))
		}
		if len(files.got) > 0 {
			t.Errorf("read %q, want none of them read", files.got)
		}
	}
}

// Only the ranges at both ends of the destination, and what follows until a
// range ends where one ended before, may be read.
func TestReplaceReadsOnlyTheBorders(t *testing.T) {
	files := newMemory()
	keep := numbered("a/", 5000).plus(numbered("z/", 5000))
	base := keep.plus(numbered("data/", 5000)).ranges(t, files, byAnchor)
	imported := numbered("data/new-", 3000).ranges(t, files, byAnchor)
	files.forget()
	replace(t, files, byAnchor, base, imported, metarange.Removed{Prefixes: []string{"data/"}})

	var allowed []string
	for i, r := range base {
		straddles := r.MinKey < "data/" && r.MaxKey >= "data/" || r.MinKey < "data0" && r.MaxKey >= "data0"
		first := r.MinKey >= "data0" && base[i-1].MaxKey < "data0"
		if straddles || first {
			allowed = append(allowed, r.ID)
		}
	}
	allowed = append(allowed, imported[0].ID, imported[len(imported)-1].ID)
	if len(base) < 500 {
		t.Fatalf("%d ranges are too few to tell", len(base))
	}
	for _, id := range files.got {
		if !slices.Contains(allowed, id) {
			t.Errorf("read %s, which is at neither border; at the borders are %v", id, allowed)
		}
	}
}

func TestReplaceLeavesSiblingsAlone(t *testing.T) {
	files := newMemory()
	siblings := records{"dat/x": "1", "data": "2", "data!/x": "3", "data-x": "4", "data.csv": "5", "data0": "6", "data2/x": "7"}
	base := siblings.plus(records{"data/x": "8", "data//": "9", "data/\U0001F600": "10"}).ranges(t, files, byAnchor)

	got := replace(t, files, byAnchor, base, nil, metarange.Removed{Prefixes: []string{"data/"}})
	checkStored(t, "data/", files, got, siblings)
	got = replace(t, files, byAnchor, got, nil, metarange.Removed{Keys: []string{"data"}})
	checkStored(t, "data", files, got, siblings.without(nil, []string{"data"}))

	if _, err := tryReplace(t.Context(), files, byAnchor, base, nil, metarange.Removed{Prefixes: []string{"data"}}); err == nil || !strings.Contains(err.Error(), `"data"`) {
		t.Errorf("removing below \"data\" = %v, want an error that names it", err)
	}
}

func TestReplaceRefusesRangesThatAreNoTree(t *testing.T) {
	files := newMemory()
	good := numbered("k", 200).ranges(t, files, small)
	bad := slices.Clone(good)
	bad[1], bad[2] = bad[2], bad[1]
	for _, lists := range [][2][]partition.RangeMetadata{{bad, good}, {good, bad}} {
		_, err := tryReplace(t.Context(), files, small, lists[0], lists[1], metarange.Removed{})
		if err == nil || !strings.Contains(err.Error(), good[1].MinKey) || !strings.Contains(err.Error(), good[2].MaxKey) {
			t.Errorf("got %v, want an error that names %q and %q", err, good[1].MinKey, good[2].MaxKey)
		}
	}
}

func TestReplaceNamesTheRangeThatItCannotRead(t *testing.T) {
	files := newMemory()
	base := numbered("data/", 100).ranges(t, files, byAnchor)
	victim, other := base[0], base[1]
	removed := metarange.Removed{Keys: []string{victim.MinKey}}
	for name, data := range map[string][]byte{
		"empty":     {},
		"truncated": files.data[victim.ID][:100],
		"another":   files.data[other.ID],
		"damaged":   damaged(files.data[victim.ID]),
	} {
		files.data[victim.ID] = data
		_, err := tryReplace(t.Context(), files, byAnchor, base, nil, removed)
		if err == nil || !strings.Contains(err.Error(), victim.ID) {
			t.Errorf("%s file: got %v, want an error that names %s", name, err, victim.ID)
		}
	}
	delete(files.data, victim.ID)
	_, err := tryReplace(t.Context(), files, byAnchor, base, nil, removed)
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), victim.ID) {
		t.Errorf("missing file: got %v, want it to wrap the cause and name %s", err, victim.ID)
	}
}

// damaged returns a copy of a table with a bit of its first record changed.
func damaged(data []byte) []byte {
	data = slices.Clone(data)
	data[10] ^= 1
	return data
}

// With a minimum size the result is a right tree, though not the canonical one.
func TestReplaceWithAMinimumSizeKeepsEveryRecord(t *testing.T) {
	breaks := partition.Breaks{MinSize: 300, MaxSize: 900, Raggedness: 4}
	files := newMemory()
	tree, comes := numbered("a", 200).plus(numbered("data/", 50)).plus(numbered("z", 200)), numbered("data/new", 70)
	got := replace(t, files, breaks, tree.ranges(t, files, breaks), comes.ranges(t, files, breaks),
		metarange.Removed{Prefixes: []string{"data/"}})
	if err := metarange.Check(got); err != nil {
		t.Error(err)
	}
	checkStored(t, "minimum size", files, got, tree.without([]string{"data/"}, nil).plus(comes))
}

// tryReplace is metarange.Replace of lists.
func tryReplace(ctx context.Context, files *memory, breaks partition.Breaks, base, imported []partition.RangeMetadata, removed metarange.Removed) (got []partition.RangeMetadata, err error) {
	for r, err := range metarange.Replace(ctx, files, breaks, metarange.List(base), metarange.List(imported), removed) {
		if err != nil {
			return nil, err
		}
		got = append(got, r)
	}
	return got, nil
}

func replace(t *testing.T, files *memory, breaks partition.Breaks, base, imported []partition.RangeMetadata, removed metarange.Removed) []partition.RangeMetadata {
	t.Helper()
	got, err := tryReplace(t.Context(), files, breaks, base, imported, removed)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// BenchmarkReplace imports into a directory in the middle of a tree of 10,000
// ranges.
func BenchmarkReplace(b *testing.B) {
	files := newMemory()
	base := numbered("a/", 60_000).plus(numbered("data/", 20_000)).plus(numbered("z/", 80_000)).ranges(b, files, byAnchor)
	imported := numbered("data/new", 2000).ranges(b, files, byAnchor)
	files.forget()
	b.ReportMetric(float64(len(base)), "ranges")
	for b.Loop() {
		if _, err := tryReplace(b.Context(), files, byAnchor, base, imported, metarange.Removed{Prefixes: []string{"data/"}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(files.got))/float64(b.N), "reads/op")
}

// BenchmarkReplaceWithin imports a directory of 2,000 keys into the midst of a range
// of 64,000, which is written again: what an import takes that has fewer keys than lie
// between two anchors.
func BenchmarkReplaceWithin(b *testing.B) {
	files, breaks := newMemory(), partition.Breaks{MaxSize: 1 << 30, Raggedness: 1 << 60}
	directory := func(all records, i int) records {
		for j := range 2000 {
			hash := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i, j)))
			key := fmt.Sprintf("d%02d/%s", i, hash[:36])
			all[key] = string(rangetest.Value(entry.Entry{
				Key: key, Address: "s3://bucket/" + hash[:36], ETag: hash[36:], Size: int64(i * j), ModTime: time.Unix(1_700_000_000+int64(j), 0),
			}))
		}
		return all
	}
	tree := records{}
	for i := range 32 {
		directory(tree, i)
	}
	base, imported := tree.ranges(b, files, breaks), directory(records{}, 15).ranges(b, files, breaks)
	for b.Loop() {
		if _, err := tryReplace(b.Context(), files, breaks, base, imported, metarange.Removed{Prefixes: []string{"d15/"}}); err != nil {
			b.Fatal(err)
		}
	}
}
