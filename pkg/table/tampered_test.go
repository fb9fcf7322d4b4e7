package table_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/internal/tampered"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Whatever is changed in a file whose checksums are made anew, reading it gives
// the records of its ID or ErrCorrupt, and takes no memory to speak of.
func TestTamperedFilesAreCorrupt(t *testing.T) {
	const mutations = 100_000
	rng := seeded.Rand(t)
	originals := originals(t, rng)
	corrupt := 0
	for i := range mutations {
		o := originals[i%len(originals)]
		file := o.parts.Mutated(rng)
		before := allocated()
		err := readEveryWay(t, o, file)
		// What is small is counted late, so there is some of other mutations in it.
		if took := allocated() - before; took > uint64(100*len(file)+1<<20) {
			t.Fatalf("mutation %d: reading %d bytes allocated %d", i, len(file), took)
		}
		switch {
		case errors.Is(err, table.ErrCorrupt):
			corrupt++
		case err != nil:
			t.Fatalf("mutation %d: error %v, want ErrCorrupt", i, err)
		}
	}
	if corrupt < mutations/2 {
		t.Errorf("%d of %d mutations were seen", corrupt, mutations)
	}
}

// original is a file to tamper with.
type original struct {
	id      string
	records []table.Record
	parts   *tampered.File
}

// originals returns files of one block, of several, and of an index of parts.
func originals(t *testing.T, rng *rand.Rand) (all []original) {
	t.Helper()
	const longKeys = 400 // few of them fill a part of an index
	long := make([]table.Record, 30)
	for i := range long {
		key := fmt.Sprintf("%02d%s", i, strings.Repeat(string(rune('a'+rng.IntN(26))), longKeys))
		value := make([]byte, 4096)
		fill(rng, value[:10])
		long[i] = table.Record{Key: []byte(key), Value: value}
	}
	for _, records := range [][]table.Record{nil, numbered(1), numbered(20), numbered(150), long} {
		tab := tableOf(t, table.Ranges, records...)
		parts := tampered.TakeApart(tab.Data)
		if err := table.Verify(t.Context(), tab.Meta.ID, parts.Bytes()); err != nil {
			t.Fatalf("a file of %d records that was put together again: %v", len(records), err)
		}
		all = append(all, original{id: tab.Meta.ID, records: records, parts: parts})
	}
	return all
}

// readEveryWay reads all records, and then from some keys on.
func readEveryWay(t *testing.T, o original, file []byte) error {
	r, err := table.NewReader(file)
	describe(t, r, file)
	if err != nil {
		return err
	}
	n := 0
	for rec, whole := range r.All(t.Context(), o.id) {
		if err = whole; err == nil {
			n++
		}
		_ = rec
	}
	if err == nil && n != len(o.records) {
		t.Errorf("%d records of %d without an error", n, len(o.records))
	}
	for i := 0; i < len(o.records); i += 1 + len(o.records)/4 {
		for rec, from := range r.From(t.Context(), string(o.records[i].Key)) {
			switch {
			case from != nil && !errors.Is(from, table.ErrCorrupt):
				return from
			case from == nil && string(rec.Key) < string(o.records[i].Key):
				t.Errorf("from %q: key %q", o.records[i].Key, rec.Key)
			}
			break
		}
	}
	return err
}

// describe makes sure that a file is described as its reader, nil if it is corrupt, says.
func describe(t *testing.T, r *table.Reader, file []byte) {
	t.Helper()
	kind, says, err := table.Describe(t.Context(), table.Bytes(file))
	if err != nil && !errors.Is(err, table.ErrCorrupt) {
		t.Errorf("described: %v, want ErrCorrupt", err)
	}
	if r != nil && (err != nil || kind != r.Kind() || says != r.Properties()) {
		t.Errorf("described as %s %+v, %v, want %s %+v", kind, says, err, r.Kind(), r.Properties())
	}
}

// allocated returns how many bytes were allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// The last bytes of a data block are its restart points: pebble believes them, and
// reads where there is no memory.
func TestRestartPointsOutsideOfTheirBlock(t *testing.T) {
	tab := tableOf(t, table.Ranges, numbered(200)...)
	f := tampered.TakeApart(tab.Data)
	for i, content := range f.Data() {
		content = slices.Clone(content)
		copy(content[len(content)-12:], strings.Repeat("\xff", 12))
		f := *f
		f.SetData(i, content)
		if err := table.Verify(t.Context(), tab.Meta.ID, f.Bytes()); !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), "restart points") {
			t.Errorf("block %d: error %v, want ErrCorrupt that names restart points", i, err)
		}
	}
}

// What a file claims to hold is compared with what it can hold.
func TestCountThatNoFileCanHold(t *testing.T) {
	tab := tableOf(t, table.Metaranges, numbered(10)...)
	for _, count := range []string{"8589934592", "9223372036854775807", "-1", "ten", ""} { // the first is 1 << 33
		f := tampered.TakeApart(tab.Data)
		f.SetProperty("count", count)
		if _, err := table.NewReader(f.Bytes()); !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), "count") {
			t.Errorf("count %q: error %v, want ErrCorrupt that names the property", count, err)
		}
	}
	f := tampered.TakeApart(tab.Data)
	f.SetProperty("count", "11")
	if err := table.Verify(t.Context(), tab.Meta.ID, f.Bytes()); !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), "10 records") {
		t.Errorf("count 11 of 10: error %v, want ErrCorrupt that says so", err)
	}
}

// A file whose records are right, but others than those of its name.
func TestFileOfAnotherID(t *testing.T) {
	one, other := tableOf(t, table.Ranges, numbered(50)...), tableOf(t, table.Ranges, numbered(51)...)
	err := table.Verify(t.Context(), one.Meta.ID, other.Data)
	if !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), one.Meta.ID) || !strings.Contains(err.Error(), other.Meta.ID) {
		t.Errorf("error %v, want ErrCorrupt that names both IDs", err)
	}
}

// FuzzReader writes bytes over a block of a file, whose checksums are made anew.
func FuzzReader(f *testing.F) {
	w := table.NewWriter(table.Ranges)
	all := numbered(60)
	for _, rec := range all {
		if err := w.Add(rec.Key, rec.Value); err != nil {
			f.Fatal(err)
		}
	}
	tab := w.Close()
	parts := tampered.TakeApart(tab.Data)
	f.Add(uint8(0), uint16(0), []byte{})
	f.Add(uint8(1), uint16(7), []byte("\xff\xff\xff\xff\x0f"))
	f.Add(uint8(0), uint16(4000), []byte("\x00\x00\x00\x80\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, block uint8, at uint16, with []byte) {
		file := parts.Overwritten(int(block), int(at), with)
		if err := readEveryWay(t, original{id: tab.Meta.ID, records: all}, file); err != nil && !errors.Is(err, table.ErrCorrupt) {
			t.Errorf("error %v, want ErrCorrupt", err)
		}
	})
}
