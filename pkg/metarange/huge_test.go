package metarange_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
	"github.com/rangefleet/rangefleet/pkg/tablecache"
)

// directory is files in a directory, which take no memory.
type directory struct {
	dir   string
	reads *int // calls of GetRange
}

func (d directory) path(id string) string { return filepath.Join(d.dir, id) }

func (d directory) Put(_ context.Context, id string, data []byte, _ objectstore.Sum) error {
	return os.WriteFile(d.path(id), data, 0o600)
}

func (d directory) Get(_ context.Context, id string) ([]byte, error) { return os.ReadFile(d.path(id)) }

func (d directory) GetRange(_ context.Context, id string, offset, n int64) ([]byte, int64, error) {
	f, err := os.Open(d.path(id))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	*d.reads++
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	part := make([]byte, min(n, info.Size()-offset))
	_, err = f.ReadAt(part, offset)
	return part, info.Size(), err
}

// A tree of a million ranges, 5 * 10^10 objects, is read within 64 MiB: by a lookup, by a
// listing, and from the first range to the last.
func TestMillionRangesAreReadWithin64MiB(t *testing.T) {
	files := directory{t.TempDir(), new(int)}
	tree := newHugeTree(t, files)
	m := meter{limit: 64 << 20, before: live()}
	cache := tablecache.New(32<<20, nil).In("", files)
	tree.lookUp(t, cache)
	first := *files.reads
	m.measure(t, "after the first lookup")
	if first > 6 {
		t.Errorf("the first lookup took %d reads, want those of the metarange's begin, end, index and block, and of the range", first)
	}
	for range 3 {
		opened := tree.lookUp(t, cache)
		tree.missBetweenRanges(t, opened)
		m.measure(t, "after lookups")
		tree.list(t, opened)
		m.measure(t, "after a listing")
		runtime.KeepAlive(opened)
	}
	tree.stream(t, files, &m)
	runtime.KeepAlive(cache)
	info, err := os.Stat(files.path(tree.id))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("at most %d MiB were live, of a metarange of %d MiB; the first lookup took %d reads", m.most>>20, info.Size()>>20, first)
}

// meter measures how many more bytes of memory are in use than before.
type meter struct{ limit, before, most uint64 }

func (m *meter) measure(t *testing.T, when string) {
	t.Helper()
	now := live()
	took := now - min(m.before, now)
	if m.most = max(m.most, took); took > m.limit {
		t.Errorf("%s %d MiB are live, want at most %d", when, took>>20, m.limit>>20)
	}
}

// live returns how many bytes of memory are in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// hugeTree is a stored tree of hugeRanges ranges. Only the files of two neighbours are stored.
type hugeTree struct {
	id     string
	stored map[int]partition.RangeMetadata
}

// A listing that begins in the range storedRange looks at the next one, too.
const hugeRanges, storedRange = 1_000_000, 700_000

func newHugeTree(t *testing.T, files directory) hugeTree {
	t.Helper()
	tree := hugeTree{stored: map[int]partition.RangeMetadata{}}
	for _, i := range []int{storedRange, storedRange + 1} {
		tree.stored[i] = storeRange(t, files, hugeKey(2*i+1), hugeKey(2*i+2))
	}
	all := func(yield func(partition.RangeMetadata, error) bool) {
		for i := range hugeRanges {
			if !yield(tree.at(i), nil) {
				return
			}
		}
	}
	var err error
	if tree.id, err = metarange.WriteAll(t.Context(), files, all, hugeRanges); err != nil {
		t.Fatal(err)
	}
	return tree
}

// at returns the i-th range.
func (h hugeTree) at(i int) partition.RangeMetadata {
	if r, ok := h.stored[i]; ok {
		return r
	}
	return hugeRange(i)
}

// lookUp opens the tree and looks up a key of a range that is stored.
func (h hugeTree) lookUp(t *testing.T, files metarange.Opener) *metarange.Tree {
	t.Helper()
	tree, err := metarange.Open(t.Context(), files, "", h.id)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := tree.Stat(t.Context(), hugeKey(2*storedRange+1)); err != nil || e.Key != hugeKey(2*storedRange+1) {
		t.Errorf("Stat = %+v, %v", e, err)
	}
	return tree
}

// missBetweenRanges looks up keys that lie between two ranges.
func (hugeTree) missBetweenRanges(t *testing.T, tree *metarange.Tree) {
	t.Helper()
	for i := 0; i < hugeRanges; i += hugeRanges / 100 {
		if _, err := tree.Stat(t.Context(), hugeKey(2*i)+"!"); !errors.Is(err, metarange.ErrNotFound) {
			t.Errorf("Stat of a key between two ranges = %v, want ErrNotFound", err)
		}
	}
}

// list lists the keys of the first range that is stored.
func (hugeTree) list(t *testing.T, tree *metarange.Tree) {
	t.Helper()
	items, _, err := tree.List(t.Context(), "", hugeKey(2*storedRange), "", 2)
	if err != nil || len(items) != 2 || items[1].Entry.Key != hugeKey(2*storedRange+2) {
		t.Errorf("List = %+v, %v", items, err)
	}
}

// stream reads all ranges, and measures the memory meanwhile.
func (h hugeTree) stream(t *testing.T, files directory, m *meter) {
	t.Helper()
	ranges, count, err := metarange.Stream(t.Context(), files, h.id)
	if err != nil || count != hugeRanges {
		t.Fatalf("Stream of %d ranges, %v", count, err)
	}
	i := 0
	for r, err := range ranges {
		if err != nil || r != h.at(i) {
			t.Fatalf("range %d is %+v, %v", i, r, err)
		}
		if i++; i%(hugeRanges/10) == 0 {
			m.measure(t, "while all are read")
		}
	}
	if i != hugeRanges {
		t.Errorf("read %d ranges", i)
	}
}

// storeRange stores a range of the keys.
func storeRange(t *testing.T, files directory, keys ...string) partition.RangeMetadata {
	t.Helper()
	w := table.NewWriter(table.Ranges)
	for _, key := range keys {
		b := entrytest.Batch(entry.Entry{Key: key, Address: "s3://b/" + key})
		if err := w.Add(b.Key(0), rangetest.Value(b.Entry(0))); err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	tab := w.Close()
	if err := files.Put(t.Context(), tab.Meta.ID, tab.Data, tab.Sum); err != nil {
		t.Fatal(err)
	}
	return tab.Meta
}

func hugeKey(i int) string {
	return fmt.Sprintf("warehouse/events/year=2026/month=%02d/part-%09d.snappy.parquet", 1+i/200_000, i)
}

// hugeRange is the i-th of the ranges, whose file is not there.
func hugeRange(i int) partition.RangeMetadata {
	id := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
	return partition.RangeMetadata{
		ID:     hex.EncodeToString(id[:]),
		MinKey: hugeKey(2*i + 1), MaxKey: hugeKey(2*i + 2), Count: 45_000 + int64(i%9973), EstimatedSize: 20<<20 + uint64(i%65537),
	}
}
