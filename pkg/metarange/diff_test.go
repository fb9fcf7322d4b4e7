package metarange_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// Differences of random trees, page by page, against maps.
func TestDiffAgainstMaps(t *testing.T) {
	r := random{seeded.Rand(t)}
	found := map[metarange.Change]int{}
	for range 200 {
		files := newMemory()
		base := r.tree(200)
		left, right := r.changed(base), r.changed(base)
		d := metarange.Diff{Left: treeOf(t, files, left), Right: treeOf(t, files, right)}
		if r.rng.IntN(3) > 0 {
			d.Base = treeOf(t, files, base)
		} else {
			base = left
		}
		want := naiveDiff(base, left, right)
		for range 8 {
			q := metarange.DiffQuery{
				Prefix: r.pick("", "", "d", "data", "data/", "z", "nothing", r.key()), Delimiter: r.pick("", "", "/", "-"),
				After: r.pick("", "", "data/", "data2", "zz", r.key()), Amount: 1 + r.rng.IntN(9),
			}
			if r.rng.IntN(2) == 0 {
				q.Enough = func() bool { return r.rng.IntN(3) == 0 }
			}
			compareDiff(t, d, want, q, found)
		}
		for range 8 {
			compareTouches(t, d, want, r.pick("", "data", "data/", r.key()))
		}
	}
	if len(found) != 5 {
		t.Errorf("found differences of the kinds %v, want all 5", found)
	}
}

// tree returns up to n entries.
func (r random) tree(n int) map[string]entry.Entry {
	entries := map[string]entry.Entry{}
	for range r.rng.IntN(n) {
		k := r.key()
		entries[k] = r.entry(k)
	}
	return entries
}

func (r random) entry(key string) entry.Entry {
	return entry.Entry{Key: key, Address: "s3://b/" + key, ETag: "e", Size: r.rng.Int64N(3), ModTime: time.Unix(r.rng.Int64N(1e9), 0).UTC()}
}

// changed returns entries of which a few, or a whole part, were changed.
func (r random) changed(entries map[string]entry.Entry) map[string]entry.Entry {
	all := maps.Clone(entries)
	part := r.pick("a", "data/", "e", "nothing", r.key())
	drop := r.rng.IntN(3) == 0
	for _, k := range slices.Sorted(maps.Keys(all)) {
		switch {
		case drop && strings.HasPrefix(k, part), r.rng.IntN(20) == 0:
			delete(all, k)
		case r.rng.IntN(20) == 0:
			all[k] = r.entry(k)
		}
	}
	for range r.rng.IntN(20) {
		k := r.key()
		all[k] = r.entry(k)
	}
	return all
}

// naiveDiff is the change of each key.
func naiveDiff(base, left, right map[string]entry.Entry) map[string]metarange.Difference {
	all := map[string]metarange.Difference{}
	same := func(a, b map[string]entry.Entry, k string) bool {
		x, inA := a[k]
		y, inB := b[k]
		return inA == inB && x.Size == y.Size && x.ETag == y.ETag
	}
	both := maps.Clone(left)
	maps.Copy(both, right)
	for k, e := range both {
		_, inLeft := left[k]
		_, inRight := right[k]
		d := metarange.Difference{Item: metarange.Item{Entry: e}, Gone: !inRight}
		switch {
		case same(left, right, k) || same(base, right, k):
			continue
		case !same(base, left, k):
			d.Change = metarange.KeyConflict
		case !inLeft:
			d.Change = metarange.KeyAdded
		case !inRight:
			d.Change = metarange.KeyRemoved
		default:
			d.Change = metarange.KeyChanged
		}
		all[k] = d
	}
	return all
}

// compareDiff compares all pages from q on with the differences, and counts what it found.
func compareDiff(t *testing.T, d metarange.Diff, want map[string]metarange.Difference, q metarange.DiffQuery, found map[metarange.Change]int) {
	t.Helper()
	first := q
	var got []metarange.Difference
	for {
		page, next, err := d.List(t.Context(), q)
		if err != nil || len(page) > q.Amount {
			t.Fatalf("%+v: %d differences, %v", q, len(page), err)
		}
		got = append(got, page...)
		if next == "" {
			break
		}
		if next == q.After {
			t.Fatalf("%+v: the next page starts after %q", q, next)
		}
		q.After = next
	}
	keys, _ := naiveList(slices.Sorted(maps.Keys(want)), q.Prefix, first.After, q.Delimiter, len(want)+1)
	if len(got) != len(keys) {
		t.Fatalf("%+v: %+v, want %q", first, got, keys)
	}
	for i, k := range keys {
		w, ok := want[k]
		if rest := strings.TrimPrefix(k, q.Prefix); !ok || q.Delimiter != "" && strings.Contains(rest, q.Delimiter) {
			w = metarange.Difference{Item: metarange.Item{CommonPrefix: k}, Change: metarange.PrefixChanged}
		}
		if got[i] != w {
			t.Fatalf("%+v: difference %d is %+v, want %+v", first, i, got[i], w)
		}
		found[w.Change]++
	}
}

func compareTouches(t *testing.T, d metarange.Diff, want map[string]metarange.Difference, key string) {
	t.Helper()
	_, exact := want[key]
	prefix := slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(k string) bool { return strings.HasPrefix(k, key) })
	for _, x := range []struct{ exact, want bool }{{true, exact}, {false, prefix}} {
		if got, err := d.Touches(t.Context(), key, x.exact); err != nil || got != x.want {
			t.Fatalf("Touches(%q, %t) = %t, %v, want %t", key, x.exact, got, err, x.want)
		}
	}
}

// The ranges that trees share are not read, nor those that the right side has from the base, nor
// those that only the left side added.
func TestDiffReadsOnlyWhatDiffers(t *testing.T) {
	files := newMemory()
	base := bare(maps.Keys(numbered("b/", 3000).plus(numbered("d/", 3000)).plus(numbered("f/", 3000))))
	left, right := maps.Clone(base), maps.Clone(base)
	maps.Copy(left, bare(maps.Keys(numbered("c/", 3000))))
	maps.DeleteFunc(left, func(k string, _ entry.Entry) bool { return strings.HasPrefix(k, "f/") })
	right["d/001500x"] = entry.Entry{Key: "d/001500x"}
	d := metarange.Diff{Left: treeOf(t, files, left), Right: treeOf(t, files, right), Base: treeOf(t, files, base)}
	files.forget()
	page, next, err := d.List(t.Context(), metarange.DiffQuery{Amount: 10})
	if err != nil || next != "" || len(page) != 1 || page[0].Entry.Key != "d/001500x" {
		t.Fatalf("List = %+v, %q, %v", page, next, err)
	}
	if len(files.got) > 20 {
		t.Errorf("read %d files for one difference", len(files.got))
	}
	files.forget()
	d.Base = nil
	page, _, err = d.List(t.Context(), metarange.DiffQuery{Amount: 10, Delimiter: "/"})
	if err != nil || len(page) != 3 {
		t.Fatalf("List = %+v, %v", page, err)
	}
	if len(files.got) > 20 {
		t.Errorf("read %d files for three common prefixes", len(files.got))
	}
	if _, _, err := d.List(t.Context(), metarange.DiffQuery{}); err == nil {
		t.Error("a list of no differences was taken")
	}
}
