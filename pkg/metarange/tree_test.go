package metarange_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// lakeFS's own metarange without ranges: the hash of its properties alone.
const emptyID = "00fb7eff1a97c500eb3ca8d2ef5464131d6b6a5f9512e41eba97843522213b66"

func TestEmptyTree(t *testing.T) {
	files := newMemory()
	id, err := metarange.Write(t.Context(), files, nil)
	if err != nil || id != emptyID {
		t.Fatalf("Write = %q, %v, want %q", id, err, emptyID)
	}
	for _, id := range []string{emptyID, ""} {
		ranges, err := metarange.Read(t.Context(), files, id)
		if err != nil || len(ranges) != 0 {
			t.Errorf("Read %q = %v, %v, want no ranges", id, ranges, err)
		}
		tree := openTree(t, files, id)
		for e, err := range tree.Entries(t.Context(), "") {
			t.Errorf("tree %q holds %v, %v", id, e, err)
		}
		if _, err := tree.Stat(t.Context(), "a"); !errors.Is(err, metarange.ErrNotFound) {
			t.Errorf("Stat in tree %q = %v, want ErrNotFound", id, err)
		}
		if items, more, err := tree.List(t.Context(), "", "", "/", 1); err != nil || more || len(items) > 0 {
			t.Errorf("List of tree %q = %v, %t, %v", id, items, more, err)
		}
	}
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	files := newMemory()
	ranges := numbered("k", 500).ranges(t, files, small)
	id, err := metarange.Write(t.Context(), files, ranges)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := metarange.Read(t.Context(), files, id); err != nil || !slices.Equal(got, ranges) {
		t.Errorf("Read = %v, %v, want %v", got, err, ranges)
	}
}

func TestTreesThatLakeFSWrote(t *testing.T) {
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		t.Run(l.Name, func(t *testing.T) {
			files := newMemory()
			maps.Copy(files.data, l.Files)
			ranges, err := metarange.Read(t.Context(), files, l.MetarangeID)
			if err != nil {
				t.Fatal(err)
			}
			if id, err := metarange.Write(t.Context(), files, ranges); err != nil || id != l.MetarangeID {
				t.Errorf("written again it is %s, %v, want %s", id, err, l.MetarangeID)
			}
			var got []entry.Entry
			for e, err := range openTree(t, files, l.MetarangeID).Entries(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if !slices.Equal(got, l.Entries) {
				t.Errorf("read %d entries, which are not the %d listed", len(got), len(l.Entries))
			}
			// Taking the last range's content out and in again gives their IDs.
			last := ranges[len(ranges)-1]
			cut := replace(t, files, l.Breaks, ranges, nil, metarange.Removed{Keys: []string{last.MaxKey, ranges[0].MinKey}})
			if again := replace(t, files, l.Breaks, cut, ranges, metarange.Removed{}); !slices.Equal(again, ranges) {
				t.Errorf("replaced by its own ranges the tree is %v, want %v", ids(again), ids(ranges))
			}
		})
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	id := strings.Repeat("0a", 32)
	good := partition.RangeMetadata{ID: id, MinKey: "b", MaxKey: "d", Count: 3}
	with := func(change func(*partition.RangeMetadata)) []partition.RangeMetadata {
		r := good
		r.ID = strings.Repeat("1b", 32)
		r.MinKey, r.MaxKey = "e", "f"
		change(&r)
		return []partition.RangeMetadata{good, r}
	}
	for name, c := range map[string]struct {
		ranges []partition.RangeMetadata
		want   []string // parts of the error; none if all is well
	}{
		"good":        {with(func(*partition.RangeMetadata) {}), nil},
		"one key":     {with(func(r *partition.RangeMetadata) { r.MaxKey = r.MinKey }), nil},
		"overlap":     {with(func(r *partition.RangeMetadata) { r.MinKey = "d" }), []string{id, strings.Repeat("1b", 32), `"d"`}},
		"unsorted":    {with(func(r *partition.RangeMetadata) { r.MinKey, r.MaxKey = "A", "C" }), []string{id, strings.Repeat("1b", 32), `"A"`, `"d"`}},
		"backwards":   {with(func(r *partition.RangeMetadata) { r.MinKey = "g" }), []string{strings.Repeat("1b", 32), `"g"`, `"f"`}},
		"no first":    {with(func(r *partition.RangeMetadata) { r.MinKey = "" }), []string{strings.Repeat("1b", 32)}},
		"no entries":  {with(func(r *partition.RangeMetadata) { r.Count = 0 }), []string{strings.Repeat("1b", 32), "0 entries"}},
		"no ID":       {with(func(r *partition.RangeMetadata) { r.ID = "" }), []string{`"e"`, `"f"`, "64 hex"}},
		"upper case":  {with(func(r *partition.RangeMetadata) { r.ID = strings.Repeat("0A", 32) }), []string{"64 hex"}},
		"not hex":     {with(func(r *partition.RangeMetadata) { r.ID = "0" + strings.Repeat("x", 62) + "0" }), []string{"64 hex"}},
		"wrong width": {with(func(r *partition.RangeMetadata) { r.ID += "00" }), []string{"64 hex"}},
	} {
		files := newMemory()
		_, err := metarange.Write(t.Context(), files, c.ranges)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: Write = %v", name, err)
			continue
		}
		if err != nil && len(files.put) > 0 {
			t.Errorf("%s: stored %q in spite of %v", name, files.put, err)
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not name %s", name, err, part)
			}
		}
	}
}

func TestReadNamesTheMetarangeThatItCannotRead(t *testing.T) {
	files := newMemory()
	ranges := numbered("k", 200).ranges(t, files, small)
	id, err := metarange.Write(t.Context(), files, ranges)
	if err != nil {
		t.Fatal(err)
	}
	whole := files.data[id]
	for name, data := range map[string][]byte{
		"truncated": whole[:len(whole)/2],
		"damaged":   damaged(whole),
		"a range":   files.data[ranges[0].ID],
	} {
		files.data[id] = data
		if _, err := metarange.Read(t.Context(), files, id); err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: Read = %v, want an error that names %s", name, err, id)
		}
	}
	delete(files.data, id)
	if _, err := metarange.Open(t.Context(), metarange.Windows(files), "", id); !errors.Is(err, errMissing) || !strings.Contains(err.Error(), id) {
		t.Errorf("missing: Open = %v, want it to wrap the cause and name %s", err, id)
	}
}

// A tree keeps the range that was used last, and reads no other than it needs.
func TestTreeReadsRangesAsTheyAreNeeded(t *testing.T) {
	files := newMemory()
	tree := treeOf(t, files, bare(maps.Keys(numbered("k", 1000))))
	files.forget()
	for range 3 {
		for _, err := range tree.Entries(t.Context(), "k000500") {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if _, err := tree.Stat(t.Context(), "k000501"); err != nil {
			t.Fatal(err)
		}
	}
	if len(files.got) > 2 { // both keys may lie in ranges of their own
		t.Errorf("read %q", files.got)
	}
	if _, err := tree.Stat(t.Context(), "l"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Stat beyond the tree = %v, want a fault", err)
	}
}

func TestTreeNamesTheRangeThatItCannotRead(t *testing.T) {
	files := newMemory()
	tree := treeOf(t, files, bare(maps.Keys(numbered("k", 100))))
	var missing string
	for id := range files.data {
		if r, err := table.NewReader(files.data[id]); err == nil && r.Properties().MinKey == "k000000" && r.Kind() == table.Ranges {
			missing = id
		}
	}
	delete(files.data, missing)

	_, statErr := tree.Stat(t.Context(), "k000000")
	_, _, listErr := tree.List(t.Context(), "", "", "/", 5)
	errs := map[string]error{"Stat": statErr, "List": listErr}
	for _, err := range tree.Entries(t.Context(), "") {
		errs["Entries"] = err
	}
	for call, err := range errs {
		if !errors.Is(err, errMissing) || errors.Is(err, metarange.ErrNotFound) || !strings.Contains(err.Error(), missing) {
			t.Errorf("%s = %v, want the cause and %s", call, err, missing)
		}
	}
	if len(errs) != 3 {
		t.Errorf("Entries yielded nothing")
	}
}

// bare returns entries that have nothing but a key.
func bare(keys iter.Seq[string]) map[string]entry.Entry {
	all := map[string]entry.Entry{}
	for k := range keys {
		all[k] = entry.Entry{Key: k}
	}
	return all
}

// treeOf stores entries as a tree and opens it.
func treeOf(t *testing.T, files *memory, entries map[string]entry.Entry) *metarange.Tree {
	t.Helper()
	id, err := metarange.Write(t.Context(), files, valuesOf(entries).ranges(t, files, small))
	if err != nil {
		t.Fatal(err)
	}
	return openTree(t, files, id)
}

// valuesOf returns entries as records.
func valuesOf(entries map[string]entry.Entry) records {
	all := records{}
	for k, e := range entries {
		all[k] = string(rangetest.Value(e))
	}
	return all
}

func openTree(t *testing.T, files *memory, id string) *metarange.Tree {
	t.Helper()
	tree, err := metarange.Open(t.Context(), metarange.Windows(files), "", id)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// readRange returns the records of a stored range.
func readRange(t *testing.T, files *memory, id string) iter.Seq2[table.Record, error] {
	t.Helper()
	r, err := table.NewReader(bytes.Clone(files.data[id]))
	if err != nil {
		t.Fatalf("range %s: %v", id, err)
	}
	return r.From(t.Context(), "")
}

func TestTreeIsReadConcurrently(t *testing.T) {
	want := map[string]entry.Entry{}
	for k := range numbered("k", 300) {
		want[k] = entry.Entry{Key: k, Size: int64(len(want)), ModTime: time.Unix(1, 0).UTC()}
	}
	tree := treeOf(t, newMemory(), want)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			n := 0
			for e, err := range tree.Entries(t.Context(), "") {
				if stat, statErr := tree.Stat(t.Context(), e.Key); err != nil || statErr != nil || stat != want[e.Key] || e != stat {
					return fmt.Errorf("entry %+v, %w; stat %+v, %w", e, err, stat, statErr)
				}
				n++
			}
			if n != len(want) {
				return fmt.Errorf("read %d entries, want %d", n, len(want))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
