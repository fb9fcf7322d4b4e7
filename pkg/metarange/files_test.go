package metarange_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// errMissing is what memory answers for a file that it does not hold.
var errMissing = errors.New("no such file")

// errWrongSum is its answer to a Put with another sum than that of the file.
var errWrongSum = errors.New("the sum is not that of the file")

// memory is files in memory that notes what is asked of it.
type memory struct {
	mu   sync.Mutex
	data map[string][]byte
	got  []string // IDs of Get and GetRange calls since the last forget
	put  []string // IDs of Put calls since the last forget
}

func newMemory() *memory { return &memory{data: map[string][]byte{}} }

func (m *memory) Get(_ context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, id)
	data, ok := m.data[id]
	if !ok {
		return nil, errMissing
	}
	return data, nil
}

func (m *memory) GetRange(ctx context.Context, id string, offset, n int64) ([]byte, int64, error) {
	data, err := m.Get(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	return data[offset:min(offset+n, int64(len(data)))], int64(len(data)), nil
}

func (m *memory) Put(_ context.Context, id string, data []byte, sum objectstore.Sum) error {
	if sum != sha256.Sum256(data) {
		return errWrongSum
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put = append(m.put, id)
	m.data[id] = bytes.Clone(data)
	return nil
}

func (m *memory) forget() { m.got, m.put = nil, nil }

// records is a tree in its plainest form: values by key.
type records map[string]string

// ranges is the naive twin: it writes all records from the first on.
func (r records) ranges(t testing.TB, files *memory, breaks partition.Breaks) []partition.RangeMetadata {
	t.Helper()
	var all []partition.RangeMetadata
	w := table.NewWriter(table.Ranges)
	defer w.Abort()
	end := func() {
		tab := w.Close()
		files.data[tab.Meta.ID] = tab.Data
		all = append(all, tab.Meta)
		w.Reset(nil)
	}
	for _, key := range slices.Sorted(maps.Keys(r)) {
		if err := w.Add([]byte(key), []byte(r[key])); err != nil {
			t.Fatal(err)
		}
		if breaks.EndsAfter([]byte(key), w.EstimatedSize()) {
			end()
		}
	}
	if w.Len() > 0 {
		end()
	}
	return all
}

// without returns the records that are in none of the directories and are none
// of the keys.
func (r records) without(dirs, keys []string) records {
	left := maps.Clone(r)
	maps.DeleteFunc(left, func(key, _ string) bool {
		return slices.Contains(keys, key) ||
			slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(key, dir) })
	})
	return left
}

// plus returns the records with those of o put over them.
func (r records) plus(o records) records {
	all := maps.Clone(r)
	maps.Copy(all, o)
	return all
}

// numbered returns n records whose keys start with prefix.
func numbered(prefix string, n int) records {
	r := records{}
	for i := range n {
		r[fmt.Sprintf("%s%06d", prefix, i)] = fmt.Sprint("value ", i)
	}
	return r
}

// ids returns the IDs of ranges.
func ids(ranges []partition.RangeMetadata) []string {
	all := make([]string, len(ranges))
	for i, r := range ranges {
		all[i] = r.ID
	}
	return all
}
