package table_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// A reader yields what was written, from any key on.
func TestReadFromAnyKey(t *testing.T) {
	rng := seeded.Rand(t)
	entries := entrytest.Random(rng, 1500)
	b := entrytest.Batch(entries...)
	defer b.Release()
	var all []table.Record
	for i := range b.Len() {
		all = append(all, table.Record{Key: b.Key(i), Value: rangetest.Value(b.Entry(i))})
	}
	r := open(t, tableOf(t, table.Ranges, all...).Data)

	froms := []string{"", "\x00", "\U0010FFFF", "\xff"}
	for range 200 {
		key := entries[rng.IntN(len(entries))].Key
		froms = append(froms, key, key[:rng.IntN(len(key))], key+"\x00")
	}
	for _, from := range froms {
		var want []table.Record
		for _, rec := range all {
			if string(rec.Key) >= from {
				want = append(want, rec)
			}
		}
		if got := records(t, r, from); !slices.EqualFunc(got, want, sameRecord) {
			t.Errorf("from %q: got %d records, want %d", from, len(got), len(want))
		}
	}
}

func TestReaderStopsEarlyAndIsConcurrent(t *testing.T) {
	all := numbered(2000)
	r := open(t, tableOf(t, table.Ranges, all...).Data)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			var got []string
			for rec, err := range r.From(t.Context(), string(all[n].Key)+"\x00") {
				if err != nil {
					t.Error(err)
				}
				if got = append(got, string(rec.Key)); len(got) == 3 {
					break
				}
			}
			if want := string(all[n+3].Key); len(got) != 3 || got[2] != want {
				t.Errorf("got keys %q, want 3 up to %q", got, want)
			}
		})
	}
	wg.Wait()
}

func TestMetaDescribesTheTable(t *testing.T) {
	all := numbered(300)
	tab := tableOf(t, table.Metaranges, all...)
	r := open(t, tab.Data)
	want := tab.Meta
	want.ID = ""
	if r.Kind() != table.Metaranges || r.Properties() != want {
		t.Errorf("read kind %q and %+v, want %q and %+v", r.Kind(), r.Properties(), table.Metaranges, want)
	}
	if tab.Meta.MinKey != string(all[0].Key) || tab.Meta.MaxKey != string(all[299].Key) || tab.Meta.Count != 300 {
		t.Errorf("table holds %+v, want keys %q to %q, 300 of them", tab.Meta, all[0].Key, all[299].Key)
	}
}

func TestEmptyTable(t *testing.T) {
	tab := tableOf(t, table.Metaranges)
	if got := records(t, open(t, tab.Data), ""); len(got) != 0 {
		t.Errorf("an empty table holds %d records", len(got))
	}
	if tab.Meta.Count != 0 || tab.Meta.MinKey != "" || tab.Meta.MaxKey != "" {
		t.Errorf("an empty table says that it holds %+v", tab.Meta)
	}
	if other := tableOf(t, table.Ranges); other.Meta.ID == tab.Meta.ID {
		t.Error("empty tables of both kinds have the same ID")
	}
}

func TestKeysMustIncrease(t *testing.T) {
	for _, second := range []string{"b", "a", ""} {
		w := table.NewWriter(table.Ranges)
		defer w.Abort()
		add(t, w, []byte("b"), nil)
		err := w.Add([]byte(second), nil)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", second)) || !strings.Contains(err.Error(), `"b"`) {
			t.Errorf("key %q after %q: error %v, want one that names both", second, "b", err)
		}
	}
}

// A writer that was used before makes the same tables as a new one, whatever
// became of its table.
func TestResetStartsAfresh(t *testing.T) {
	all := numbered(3000)
	want := tableOf(t, table.Ranges, all[:2000]...)
	w := table.NewWriter(table.Ranges)
	defer w.Abort()
	uses := map[string]func() []byte{
		"closed":  func() []byte { return w.Close().Data },
		"aborted": func() []byte { w.Abort(); w.Abort(); return nil },
		"open":    func() []byte { return make([]byte, 10) },
	}
	for name, use := range uses {
		for _, rec := range all[500:] {
			add(t, w, rec.Key, rec.Value)
		}
		w.Reset(use())
		if w.Len() != 0 {
			t.Errorf("%s: %d records after Reset", name, w.Len())
		}
		for _, rec := range all[:2000] {
			add(t, w, rec.Key, rec.Value)
		}
		got := w.Close()
		if got.Meta != want.Meta || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: made %+v, want %+v", name, got.Meta, want.Meta)
		}
		w.Reset(nil)
	}
}

func TestNotATable(t *testing.T) {
	tests := map[string][]byte{
		"nothing": nil,
		"text":    []byte(strings.Repeat("not a table ", 20)),
		"no kind": tableOf(t, "").Data,
		"kind":    tableOf(t, "shards").Data,
	}
	for name, data := range tests {
		if _, err := table.NewReader(data); !errors.Is(err, table.ErrCorrupt) {
			t.Errorf("%s: error %v, want ErrCorrupt", name, err)
		}
	}
}

// Wherever a file is damaged or cut, reading it ends in ErrCorrupt, or the
// damage is in bytes without meaning and the records are right.
func TestDamageIsSeen(t *testing.T) {
	all := numbered(200)
	whole := tableOf(t, table.Ranges, all...).Data
	seen := 0
	check := func(what string, data []byte) {
		got, err := readAll(data)
		switch {
		case err == nil && !slices.EqualFunc(got, all, sameRecord):
			t.Errorf("%s: wrong records without an error", what)
		case err != nil && !errors.Is(err, table.ErrCorrupt):
			t.Errorf("%s: error %v, want ErrCorrupt", what, err)
		case err != nil:
			seen++
		}
	}
	for i := range whole {
		check(fmt.Sprintf("cut to %d bytes", i), whole[:i])
		for _, flip := range []byte{0x01, 0x80} {
			data := bytes.Clone(whole)
			data[i] ^= flip
			check(fmt.Sprintf("byte %d of %d ^ %#x", i, len(whole), flip), data)
		}
	}
	if seen < 2*len(whole) {
		t.Errorf("damage was seen %d times in %d tries", seen, 3*len(whole))
	}
}

func readAll(data []byte) (all []table.Record, err error) {
	r, err := table.NewReader(data)
	if err != nil {
		return nil, err
	}
	for rec, err := range r.From(context.Background(), "") {
		if err != nil {
			return nil, err
		}
		all = append(all, table.Record{Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value)})
	}
	return all, nil
}

// numbered returns n records; their values do not compress well.
func numbered(n int) []table.Record {
	var all []table.Record
	for i := range n {
		b := entrytest.Batch(entry.Entry{Key: fmt.Sprintf("key-%06d", i), Address: "s3://b/k", Size: int64(i)})
		all = append(all, table.Record{Key: b.Key(0), Value: rangetest.Value(b.Entry(0))})
	}
	return all
}

func tableOf(t testing.TB, kind table.Kind, all ...table.Record) table.Table {
	t.Helper()
	w := table.NewWriter(kind)
	for _, rec := range all {
		add(t, w, rec.Key, rec.Value)
	}
	return w.Close()
}
