package table_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

func TestEntryValueRoundTrip(t *testing.T) {
	entries := entrytest.Random(seeded.Rand(t), 2000)
	b := entrytest.Batch(entries...)
	defer b.Release()
	identities := table.Identities(nil, b)
	for i, want := range entries {
		value := table.AppendEntryValue([]byte("before"), b, i, identities[i])
		if string(value[:6]) != "before" {
			t.Fatalf("entry %d: overwrote what dst held", i)
		}
		got, err := table.DecodeEntry(b.Key(i), value[6:], "")
		if err != nil || got != want {
			t.Fatalf("decoded %+v, %v; want %+v", got, err, want)
		}
	}
}

// Entries in the files of a lakeFS server are those of the listing.
func TestDecodeEntriesOfLakeFS(t *testing.T) {
	listings, err := golden.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		var got []entry.Entry
		for _, m := range decodeMetarange(t, l.Files[l.MetarangeID]) {
			for _, rec := range records(t, open(t, l.Files[m.ID]), "") {
				e, err := table.DecodeEntry(rec.Key, rec.Value, "")
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
		}
		if !slices.Equal(got, l.Entries) {
			t.Errorf("%s: lakeFS's files hold %d entries other than the listing's %d", l.Name, len(got), len(l.Entries))
		}
	}
}

// Objects that were written through lakeFS have fields that imported ones lack, and lie in the
// storage namespace.
func TestDecodeEntryWrittenThroughLakeFS(t *testing.T) {
	for _, test := range []struct {
		addressType   uint64
		address, want string // want is "" if the value is corrupt
	}{
		{0, "s3://b/k", "s3://b/k"}, // the default is not written
		{0, "data/k", "s3://repo/ns/data/k"},
		{1, "data/k", "s3://repo/ns/data/k"},
		{1, "s3://b/k", "s3://repo/ns/s3://b/k"},
		{2, "s3://b/k", "s3://b/k"},
		{2, "data/k", "data/k"},
		{3, "s3://b/k", ""},
	} {
		var data []byte
		data = appendText(data, 1, test.address)
		data = appendText(data, 2, "\x08\x05\x1a\x01x") // five seconds, and a field of a later version
		data = appendText(data, 5, "\n\x01k\x12\x01v")
		data = protowire.AppendVarint(protowire.AppendTag(data, 6, protowire.VarintType), test.addressType)
		data = appendText(data, 7, "text/csv")
		got, err := table.DecodeEntry([]byte("k"), value("identity", string(data)), "s3://repo/ns/")
		if test.want == "" {
			if !errors.Is(err, table.ErrCorrupt) {
				t.Errorf("address type %d: %v, want ErrCorrupt", test.addressType, err)
			}
			continue
		}
		want := entry.Entry{Key: "k", Address: test.want, ModTime: time.Unix(5, 0).UTC()}
		if err != nil || got != want {
			t.Errorf("address type %d: %+v, %v, want %+v", test.addressType, got, err, want)
		}
	}
}

func TestRangeValueRoundTrip(t *testing.T) {
	rng := seeded.Rand(t)
	keys := entrytest.Random(rng, 200)
	for _, e := range keys {
		want := partition.RangeMetadata{
			ID: e.ETag, MinKey: e.Key, MaxKey: keys[len(keys)-1].Key,
			Count: rng.Int64(), EstimatedSize: rng.Uint64(),
		}
		got, err := table.DecodeRange(table.AppendRangeValue(nil, want))
		if err != nil || got != want {
			t.Fatalf("decoded %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestCorruptValues(t *testing.T) {
	whole := rangetest.Value(entrytest.Random(seeded.Rand(t), 1)[0])
	bad := map[string][]byte{
		"negative length":     binary.AppendVarint(nil, -1),
		"length beyond end":   value("identity", "")[:1],
		"address is a number": value("", "\x08\x01"),
		"size is text":        value("", "\x1a\x00"),
		"time is a number":    value("", "\x10\x01"),
		"second is text":      value("", "\x12\x02\x0a\x00"),
		"bad tag":             value("", "\xff"),
	}
	for n := range whole {
		if _, err := table.DecodeEntry([]byte("k"), whole[:n], ""); !errors.Is(err, table.ErrCorrupt) {
			t.Errorf("%d of %d bytes: error %v, want ErrCorrupt", n, len(whole), err)
		}
	}
	for name, v := range bad {
		if _, err := table.DecodeEntry([]byte("k"), v, ""); !errors.Is(err, table.ErrCorrupt) {
			t.Errorf("%s: entry error %v, want ErrCorrupt", name, err)
		}
	}
	for name, v := range map[string][]byte{
		"no value":       nil,
		"key is number":  value("id", "\x08\x01"),
		"count is text":  value("id", "\x22\x00"),
		"field cut":      value("id", "\x0a\x05ab"),
		"data too short": value("id", "abc")[:4],
	} {
		if _, err := table.DecodeRange(v); !errors.Is(err, table.ErrCorrupt) {
			t.Errorf("%s: range error %v, want ErrCorrupt", name, err)
		}
	}
}

// No bytes make a decoder panic, and what is decoded is what was encoded in
// some way: encoding it again and decoding that gives the same.
func FuzzDecodeEntry(f *testing.F) {
	for _, e := range entrytest.Random(rand.New(rand.NewPCG(1, 1)), 20) {
		f.Add(rangetest.Value(e))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		first, err := table.DecodeEntry([]byte("k"), v, "")
		if err != nil || first.ModTime.Before(time.Unix(0, -1<<63)) || first.ModTime.After(time.Unix(0, 1<<63-1)) {
			return // not decodable, or a time that a batch cannot hold
		}
		again, err := table.DecodeEntry([]byte("k"), rangetest.Value(first), "")
		if err != nil || again != first {
			t.Errorf("decoded %+v, then %+v, %v", first, again, err)
		}
	})
}

func FuzzDecodeRange(f *testing.F) {
	f.Add(table.AppendRangeValue(nil, partition.RangeMetadata{ID: "id", MinKey: "a", MaxKey: "b", Count: 3, EstimatedSize: 400}))
	f.Fuzz(func(t *testing.T, v []byte) {
		first, err := table.DecodeRange(v)
		if err != nil {
			return
		}
		again, err := table.DecodeRange(table.AppendRangeValue(nil, first))
		if err != nil || again != first {
			t.Errorf("decoded %+v, then %+v, %v", first, again, err)
		}
	})
}

// value returns a record value of two parts.
func value(identity, data string) []byte {
	b := append(binary.AppendVarint(nil, int64(len(identity))), identity...)
	return append(binary.AppendVarint(b, int64(len(data))), data...)
}

func appendText(dst []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
}

func decodeMetarange(t *testing.T, data []byte) []partition.RangeMetadata {
	t.Helper()
	var all []partition.RangeMetadata
	for _, rec := range records(t, open(t, data), "") {
		m, err := table.DecodeRange(rec.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// TestAddEntry makes the same table of entries as of records that hold their values.
func TestAddEntry(t *testing.T) {
	batch := hive(3000)
	defer batch.Release()
	identities := table.Identities(nil, batch)
	entries, records := table.NewWriter(table.Ranges), table.NewWriter(table.Ranges)
	for i := range batch.Len() {
		expect.NoError(t, entries.AddEntry(batch, i, identities[i]))
		expect.NoError(t, records.Add(batch.Key(i), table.AppendEntryValue(nil, batch, i, identities[i])))
	}
	if err := entries.AddEntry(batch, 0, identities[0]); err == nil {
		t.Error("a key that is not greater was added")
	}
	got, want := entries.Close(), records.Close()
	if got.Meta != want.Meta || !bytes.Equal(got.Data, want.Data) || got.Sum != want.Sum {
		t.Errorf("the table of entries is %+v, that of records %+v", got.Meta, want.Meta)
	}
}

// A value of any data has the form of that of a range, whose identity is its ID.
func TestAppendValue(t *testing.T) {
	value := table.AppendRangeValue(nil, partition.RangeMetadata{ID: "id", MinKey: "a", MaxKey: "b", Count: 3, EstimatedSize: 4})
	if got := table.AppendValue(nil, []byte("id"), value[1+len("id")+1:]); !bytes.Equal(got, value) {
		t.Errorf("%q, want %q", got, value)
	}
}
