package metarange_test

import (
	"errors"
	"fmt"
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

// Entries, Stat and List against a sorted list of keys, for random trees.
func TestTreeAgainstAListOfKeys(t *testing.T) {
	r := random{seeded.Rand(t)}
	var pages, prefixes int
	for trial := range 150 {
		name := fmt.Sprintf("trial %d", trial)
		want := map[string]entry.Entry{}
		for range r.rng.IntN(200) {
			k := r.key()
			want[k] = entry.Entry{Key: k, Address: "s3://b/" + k, ETag: "e", Size: r.rng.Int64N(99), ModTime: time.Unix(r.rng.Int64N(1e9), 5).UTC()}
		}
		keys := slices.Sorted(maps.Keys(want))
		tree := treeOf(t, newMemory(), want)

		after := r.pick("", "data", "data/", r.key(), "\xff")
		var got []string
		for e, err := range tree.Entries(t.Context(), after) {
			if err != nil || e != want[e.Key] {
				t.Fatalf("%s: entry %+v, %v, want %+v", name, e, err, want[e.Key])
			}
			got = append(got, e.Key)
		}
		if rest := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k <= after }); !slices.Equal(got, rest) {
			t.Fatalf("%s: after %q: %q, want %q", name, after, got, rest)
		}
		for _, k := range append([]string{r.key(), "", "data/"}, keys...) {
			e, err := tree.Stat(t.Context(), k)
			if w, ok := want[k]; ok && (err != nil || e != w) || !ok && !errors.Is(err, metarange.ErrNotFound) {
				t.Fatalf("%s: Stat %q = %+v, %v", name, k, e, err)
			}
		}
		for range 10 {
			prefix, delimiter := r.pick("", "d", "data", "data/", "data0", "data/x0", "z", "nothing", r.key()), r.pick("", "/", "/", "/x", "-", "a")
			after, amount := r.pick("", "", "data/", "data/x0/1", "data2", "zz", r.key()), 1+r.rng.IntN(7)
			for {
				items, more, err := tree.List(t.Context(), prefix, after, delimiter, amount)
				wantItems, wantMore := naiveList(keys, prefix, after, delimiter, amount)
				if err != nil || more != wantMore || !slices.Equal(names(items), wantItems) {
					t.Fatalf("%s: List prefix %q after %q delimiter %q amount %d = %q, %t, %v, want %q, %t\nkeys %q",
						name, prefix, after, delimiter, amount, names(items), more, err, wantItems, wantMore, keys)
				}
				for _, it := range items {
					if it.CommonPrefix != "" {
						prefixes++
					} else if it.Entry != want[it.Entry.Key] {
						t.Fatalf("%s: listed %+v, want %+v", name, it.Entry, want[it.Entry.Key])
					}
				}
				if !more {
					break
				}
				pages++
				after = wantItems[len(wantItems)-1]
			}
		}
	}
	if pages == 0 || prefixes == 0 {
		t.Errorf("%d further pages, %d common prefixes", pages, prefixes)
	}
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
	want := map[string]entry.Entry{}
	for _, dir := range []string{"a/", "b/", "c/"} {
		for i := range 3000 {
			k := fmt.Sprintf("%s%06d", dir, i)
			want[k] = entry.Entry{Key: k}
		}
	}
	tree := treeOf(t, files, want)
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
	tree, err := metarange.Open(b.Context(), metarange.Windows(files), id)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if items, _, err := tree.List(b.Context(), "", "", "/", 1000); err != nil || len(items) != 500 {
			b.Fatal(len(items), err)
		}
	}
}
