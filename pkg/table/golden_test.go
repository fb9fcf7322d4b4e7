package table_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Ranges and metarange of both listings are those that a lakeFS server made.
func TestGoldenFiles(t *testing.T) {
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		t.Run(l.Name, func(t *testing.T) {
			tables := cut(t, l.Entries, l.Breaks)
			tables = append(tables, metarange(t, tables))
			if got := tables[len(tables)-1].Meta.ID; got != l.MetarangeID {
				t.Errorf("metarange ID %s, want %s", got, l.MetarangeID)
			}
			ids := map[string]bool{}
			for _, tab := range tables {
				ids[tab.Meta.ID] = true
				theirs, ok := l.Files[tab.Meta.ID]
				if !ok {
					t.Errorf("made table %s of keys %q to %q; lakeFS made none of that ID", tab.Meta.ID, tab.Meta.MinKey, tab.Meta.MaxKey)
					continue
				}
				sameTable(t, tab, theirs)
			}
			if len(ids) != len(l.Files) {
				t.Errorf("made %d tables, lakeFS %d: %v", len(ids), len(l.Files), slices.Sorted(maps.Keys(l.Files)))
			}
		})
	}
}

// sameTable compares our table with lakeFS's file of the same ID.
func sameTable(t *testing.T, ours table.Table, theirs []byte) {
	t.Helper()
	got, want := open(t, ours.Data), open(t, theirs)
	if got.Kind() != want.Kind() {
		t.Errorf("%s: kind %q, want %q", ours.Meta.ID, got.Kind(), want.Kind())
	}
	if got.Properties() != want.Properties() {
		t.Errorf("%s: properties %+v, want %+v", ours.Meta.ID, got.Properties(), want.Properties())
	}
	gotRecords, wantRecords := records(t, got, ""), records(t, want, "")
	if !slices.EqualFunc(gotRecords, wantRecords, sameRecord) {
		t.Errorf("%s: records differ", ours.Meta.ID)
	}
	if int64(len(wantRecords)) != ours.Meta.Count {
		t.Errorf("%s: %d records, want %d", ours.Meta.ID, len(wantRecords), ours.Meta.Count)
	}
}

func sameRecord(a, b table.Record) bool {
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func open(t *testing.T, data []byte) *table.Reader {
	t.Helper()
	r, err := table.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// records returns copies of r's records from a key on.
func records(t *testing.T, r *table.Reader, from string) []table.Record {
	t.Helper()
	var all []table.Record
	for rec, err := range r.From(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, table.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
	}
	return all
}

// cut makes range files of entries, the plain way.
func cut(t *testing.T, entries []entry.Entry, breaks partition.Breaks) []table.Table {
	t.Helper()
	var tables []table.Table
	w := table.NewWriter(table.Ranges)
	defer w.Abort()
	b := entrytest.Batch(entries...)
	defer b.Release()
	for i := range b.Len() {
		add(t, w, b.Key(i), rangetest.Value(b.Entry(i)))
		if breaks.EndsAfter(b.Key(i), w.EstimatedSize()) || i == b.Len()-1 {
			tables = append(tables, w.Close())
			w.Reset(nil)
		}
	}
	return tables
}

// metarange makes the metarange of ranges.
func metarange(t *testing.T, ranges []table.Table) table.Table {
	t.Helper()
	w := table.NewWriter(table.Metaranges)
	for _, r := range ranges {
		add(t, w, []byte(r.Meta.MaxKey), table.AppendRangeValue(nil, r.Meta))
	}
	return w.Close()
}

func add(t testing.TB, w *table.Writer, key, value []byte) {
	t.Helper()
	if err := w.Add(key, value); err != nil {
		t.Fatal(err)
	}
}
