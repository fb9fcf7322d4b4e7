package metarange_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Entries, Stat and List of random trees against a sorted list of keys.
func TestTreeAgainstAListOfKeys(t *testing.T) {
	r := random{seeded.Rand(t)}
	var further, prefixes int
	for range 150 {
		tree := newListedTree(t, r)
		tree.compareEntries(t, r.pick("", "data", "data/", r.key(), "\xff"))
		tree.compareStats(t, r.key(), "", "data/")
		for range 10 {
			prefix, delimiter := r.pick("", "d", "data", "data/", "data0", "data/x0", "z", "nothing", r.key()), r.pick("", "/", "/", "/x", "-", "a")
			after, amount := r.pick("", "", "data/", "data/x0/1", "data2", "zz", r.key()), 1+r.rng.IntN(7)
			for {
				items, more := tree.compareList(t, prefix, after, delimiter, amount)
				for _, it := range items {
					prefixes += min(1, len(it.CommonPrefix))
				}
				if !more {
					break
				}
				further++
				after = names(items)[len(items)-1]
			}
		}
	}
	if further == 0 || prefixes == 0 {
		t.Errorf("%d further pages, %d common prefixes", further, prefixes)
	}
}

// listedTree is a tree and the sorted list of its keys.
type listedTree struct {
	*metarange.Tree
	keys    []string
	entries map[string]entry.Entry
}

func newListedTree(t *testing.T, r random) listedTree {
	t.Helper()
	entries := map[string]entry.Entry{}
	for range r.rng.IntN(200) {
		k := r.key()
		entries[k] = entry.Entry{Key: k, Address: "s3://b/" + k, ETag: "e", Size: r.rng.Int64N(99), ModTime: time.Unix(r.rng.Int64N(1e9), 5).UTC()}
	}
	return listedTree{treeOf(t, newMemory(), entries), slices.Sorted(maps.Keys(entries)), entries}
}

// compareEntries compares the entries after a key.
func (l listedTree) compareEntries(t *testing.T, after string) {
	t.Helper()
	var got []string
	for e, err := range l.Entries(t.Context(), after) {
		if err != nil || e != l.entries[e.Key] {
			t.Fatalf("entry %+v, %v, want %+v", e, err, l.entries[e.Key])
		}
		got = append(got, e.Key)
	}
	if rest := slices.DeleteFunc(slices.Clone(l.keys), func(k string) bool { return k <= after }); !slices.Equal(got, rest) {
		t.Fatalf("after %q: %q, want %q", after, got, rest)
	}
}

// compareStats looks up all keys, and others.
func (l listedTree) compareStats(t *testing.T, others ...string) {
	t.Helper()
	for _, k := range append(others, l.keys...) {
		e, err := l.Stat(t.Context(), k)
		want, ok := l.entries[k]
		if e != want || ok && err != nil || !ok && !errors.Is(err, metarange.ErrNotFound) {
			t.Fatalf("Stat %q = %+v, %v, want %+v", k, e, err, want)
		}
	}
}

// compareList compares one page of a listing with that of its naive twin, and returns it.
func (l listedTree) compareList(t *testing.T, prefix, after, delimiter string, amount int) (items []metarange.Item, more bool) {
	t.Helper()
	items, more, err := l.List(t.Context(), prefix, after, delimiter, amount)
	wantItems, wantMore := naiveList(l.keys, prefix, after, delimiter, amount)
	if err != nil || more != wantMore || !slices.Equal(names(items), wantItems) {
		t.Fatalf("List prefix %q after %q delimiter %q amount %d = %q, %t, %v, want %q, %t\nkeys %q",
			prefix, after, delimiter, amount, names(items), more, err, wantItems, wantMore, l.keys)
	}
	for _, it := range items {
		if it.Entry != l.entries[it.Entry.Key] { // both are zero for a common prefix
			t.Fatalf("listed %+v, want %+v", it.Entry, l.entries[it.Entry.Key])
		}
	}
	return items, more
}

// naiveList is List over all keys, one by one.
func naiveList(keys []string, prefix, after, delimiter string, amount int) (items []string, more bool) {
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok || k <= after {
			continue
		}
		name := k
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			name = prefix + rest[:i] + delimiter
		}
		if name != after && !slices.Contains(items, name) {
			items = append(items, name)
		}
	}
	if len(items) > amount {
		return items[:amount], true
	}
	return items, false
}

func names(items []metarange.Item) []string {
	var all []string
	for _, it := range items {
		all = append(all, it.Entry.Key+it.CommonPrefix)
	}
	return all
}

func TestListSkipsWhatStandsBehindACommonPrefix(t *testing.T) {
	files := newMemory()
	all := numbered("a/", 3000).plus(numbered("b/", 3000)).plus(numbered("c/", 3000))
	tree := treeOf(t, files, bare(maps.Keys(all)))
	files.forget()
	items, more, err := tree.List(t.Context(), "", "", "/", 10)
	if got := names(items); err != nil || more || !slices.Equal(got, []string{"a/", "b/", "c/"}) {
		t.Fatalf("List = %q, %t, %v", got, more, err)
	}
	if len(files.got) > 3 {
		t.Errorf("read %d ranges for 3 items", len(files.got))
	}
	if _, _, err := tree.List(t.Context(), "", "", "/", 0); err == nil {
		t.Error("a listing of no items was taken")
	}
}

// BenchmarkList lists 500 common prefixes, each of which stands for 100 keys.
func BenchmarkList(b *testing.B) {
	want := map[string]entry.Entry{}
	for k := range numbered("", 50_000) {
		k = k[:4] + "/" + k[4:]
		want[k] = entry.Entry{Key: k}
	}
	files := newMemory()
	id, err := metarange.Write(b.Context(), files, valuesOf(want).ranges(b, files, partition.DefaultBreaks))
	if err != nil {
		b.Fatal(err)
	}
	tree, err := metarange.Open(b.Context(), metarange.Windows(files), "", id)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if items, _, err := tree.List(b.Context(), "", "", "/", 1000); err != nil || len(items) != 500 {
			b.Fatal(len(items), err)
		}
	}
}
