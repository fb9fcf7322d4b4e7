package landing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// breaks are those of the ranges.
var breaks = partition.DefaultBreaks

// Case is the tree of a branch and an import that lands on it. Ranges at the borders of the
// destination have files. The others are never read, and have none.
type Case struct {
	Name  string
	About string
	make  func(n int) trees
}

// Cases returns the cases.
func Cases() []Case {
	return []Case{
		{"again", "destination: the whole branch; each range is imported as it was", again},
		{"whole", "destination: the whole branch; no range stays", whole},
		{"middle", "destination: the middle third of the branch; it cuts two ranges, and the others stay", middle},
		{"between", "destination: 1000 directories without keys, between those of the branch; all ranges stay", between},
	}
}

// ByName returns the case with the given name, and whether there is one.
func ByName(name string) (Case, bool) {
	i := slices.IndexFunc(Cases(), func(c Case) bool { return c.Name == name })
	if i < 0 {
		return Case{}, false
	}
	return Cases()[i], true
}

// trees is what a case is made of.
type trees struct {
	head, imported []item
	removed        metarange.Removed
}

// item is a range. Its file is written if it has keys.
type item struct {
	partition.RangeMetadata
	keys []string
}

// filed is the number of entries in a range with a file, near breaks.Raggedness.
const filed = 45_000

func again(n int) trees {
	t := trees{removed: metarange.Removed{Prefixes: []string{""}}}
	for i := range n {
		t.head = append(t.head, pair("warehouse/events/", 2*i))
	}
	t.imported = t.head
	return t
}

func whole(n int) trees {
	t := trees{removed: metarange.Removed{Prefixes: []string{""}}}
	for i := range n {
		t.head = append(t.head, pair("warehouse/events/", 4*i))
		t.imported = append(t.imported, pair("warehouse/events/", 4*i+2))
	}
	return t
}

func middle(n int) trees {
	const before, within, after = "warehouse/clicks/", "warehouse/events/", "warehouse/views/"
	t := trees{removed: metarange.Removed{Prefixes: []string{within}}}
	third := n / 3
	for i := range third {
		t.head = append(t.head, pair(before, 2*i))
	}
	t.head = append(t.head, filedRange(keys(before+"z/", filed/2, false), keys(within+"0/", filed/2, true)))
	for i := range third {
		t.head = append(t.head, pair(within, 4*i))
	}
	t.head = append(t.head, filedRange(keys(within+"z/", filed/2, false), keys(after+"0/", filed/2, true)))
	for i := range n - 2 - 2*third {
		t.head = append(t.head, pair(after, 2*i))
	}
	t.imported = append(t.imported, filedRange(keys(within+"0/", filed, true)))
	for i := range n - 1 {
		t.imported = append(t.imported, pair(within, 4*i+2))
	}
	return t
}

func between(n int) (t trees) {
	const dirs = 1000
	for d := range min(n, dirs) {
		old, fresh := fmt.Sprintf("warehouse/%03d/a/", d), fmt.Sprintf("warehouse/%03d/b/", d)
		t.removed.Prefixes = append(t.removed.Prefixes, fresh)
		for i := d; i < n; i += dirs {
			t.head = append(t.head, pair(old, 2*i))
			t.imported = append(t.imported, pair(fresh, 2*i))
		}
	}
	return t
}

// pair returns a range, without a file, from the i-th key with a prefix to the next one.
func pair(prefix string, i int) item {
	id := sha256.Sum256(fmt.Append(nil, prefix, i))
	return item{RangeMetadata: partition.RangeMetadata{
		ID: hex.EncodeToString(id[:]), MinKey: key(prefix, i), MaxKey: key(prefix, i+1), Count: filed + int64(i%9973),
		EstimatedSize: breaks.MaxSize + uint64(i%4093), // a range may end there, whatever its last key
	}}
}

func key(prefix string, i int) string {
	return fmt.Sprintf("%syear=2026/part-%09d.snappy.parquet", prefix, i)
}

// filedRange returns a range of keys. Its metadata is that of its file, once it is written.
func filedRange(parts ...[]string) item { return item{keys: slices.Concat(parts...)} }

// keys returns n keys with a prefix. None is an anchor, or the last one is.
func keys(prefix string, n int, ends bool) (all []string) {
	for i := 0; len(all) < n; i++ {
		k := key(prefix, i)
		if breaks.Anchor([]byte(k)) == (ends && len(all) == n-1) {
			all = append(all, k)
		}
	}
	return all
}
