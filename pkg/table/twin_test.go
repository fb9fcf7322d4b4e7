package table_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/objstorage"
	"github.com/cockroachdb/pebble/sstable"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Whatever the records, a file is byte for byte that of pebble's writer, and
// after every record both estimate the same size.
func TestFilesAreThoseOfTheTwin(t *testing.T) {
	rng := seeded.Rand(t)
	w := table.NewWriter(table.Ranges)
	for range 3 {
		compare(t, w, randomRecords(rng, 20_000)) // an index of several parts
		for range 100 {
			compare(t, w, randomRecords(rng, rng.IntN(400)))
		}
	}
}

// Blocks end at the same record however close it comes to the limits.
func TestBlocksEndAsThoseOfTheTwin(t *testing.T) {
	rng := seeded.Rand(t)
	w := table.NewWriter(table.Ranges)
	for first := 3600; first < 4150; first++ {
		value := make([]byte, first)
		fill(rng, value)
		second := value[:rng.IntN(600)]
		compare(t, w, []table.Record{{Key: []byte("a"), Value: value}, {Key: []byte("b"), Value: second}, {Key: []byte("c")}})
	}
	for size := 1; size < 300; size++ { // of keys in the index
		var all []table.Record
		for i := range 60 {
			key := bytes.Repeat([]byte{byte(i)}, size) // does not shorten well
			all = append(all, table.Record{Key: append(key, bytes.Repeat([]byte{0xff}, size)...), Value: make([]byte, 4096)})
		}
		compare(t, w, all)
	}
}

func FuzzTwin(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x01a\x10\x00\x00\x00"))
	f.Add([]byte("\x00\x03abc\xff\x0f\x01\x20\x01\x02bd\x00\x10\x00\x3f"))
	f.Add([]byte("\x00\x64" + strings.Repeat("\xff", 100) + "\x88\x13\x01\x3f")) // an index of two parts
	f.Fuzz(func(t *testing.T, script []byte) { compare(t, table.NewWriter(table.Ranges), scripted(script)) })
}

// scripted returns the records that a fuzzer's bytes describe, six and a suffix
// for each run of them: how much the key keeps of the one before it, how long
// the suffix is, the suffix, how long values are, whether they compress, and
// how many records there are.
func scripted(script []byte) (all []table.Record) {
	var last []byte
	rng := rand.New(rand.NewPCG(uint64(len(script)), 0))
	for len(script) >= 6 && len(all) < 5000 {
		keep, n := int(script[0]), min(int(script[1]), len(script)-6)
		suffix := script[2 : 2+n]
		script = script[2+n:]
		size, random, run := int(binary.LittleEndian.Uint16(script))%10_000, script[2]%2 == 1, int(script[3]%64)
		script = script[4:]
		for i := range run + 1 {
			key := append(bytes.Clone(last[:min(keep, len(last))]), suffix...)
			if i > 0 {
				key = binary.BigEndian.AppendUint16(key, uint16(i))
			}
			if len(all) > 0 && bytes.Compare(key, last) <= 0 {
				key = append(append(bytes.Clone(last), suffix...), byte(i))
			}
			value := make([]byte, size)
			if random {
				fill(rng, value)
			}
			all = append(all, table.Record{Key: key, Value: value})
			if last = key; len(last) > 2000 {
				return all
			}
		}
	}
	return all
}

// randomRecords returns records whose keys share much or little, and whose
// values compress well or badly.
func randomRecords(rng *rand.Rand, n int) (all []table.Record) {
	alphabets := []string{"\x00\x01", "\xfe\xff", "ab", "0123456789abcdef", "\x00\x01/a\x7f\x80\xfe\xff"}
	alphabet := alphabets[rng.IntN(len(alphabets))]
	longest := []int{3, 30, 300, 1000}[rng.IntN(4)]
	keep := rng.Float64()
	largest := []int{1, 100, 300, 5000}[rng.IntN(4)]
	var last []byte
	for range n {
		key := bytes.Clone(last)
		if rng.Float64() > keep || len(key) > 1000 {
			key = key[:rng.IntN(len(key)+1)]
		}
		for range rng.IntN(longest) + 1 {
			key = append(key, alphabet[rng.IntN(len(alphabet))])
		}
		if len(all) > 0 && bytes.Compare(key, last) <= 0 {
			if key = above(last); key == nil {
				return all
			}
		}
		value := make([]byte, rng.IntN(largest))
		if rng.IntN(2) == 0 {
			fill(rng, value)
		}
		all = append(all, table.Record{Key: key, Value: value})
		last = key
	}
	return all
}

// above returns a key greater than key that is not longer if possible; it may
// be nil.
func above(key []byte) []byte {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] < 0xff {
			up := bytes.Clone(key[:i+1])
			up[i]++
			return up
		}
	}
	if len(key) > 1000 {
		return nil
	}
	return append(bytes.Clone(key), 0)
}

func fill(rng *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
}

// compare writes records with both writers. Ours may have been used before.
func compare(t *testing.T, ours *table.Writer, all []table.Record) {
	t.Helper()
	ours.Reset(nil)
	theirs := newTwin(table.Ranges, nil)
	for i, rec := range all {
		add(t, ours, rec.Key, rec.Value)
		theirs.add(t, rec.Key, rec.Value)
		if got, want := ours.EstimatedSize(), theirs.sst.EstimatedSize(); got != want {
			t.Fatalf("after record %d of %d, key %q and %d bytes: estimated size %d, want %d", i, len(all), rec.Key, len(rec.Value), got, want)
		}
	}
	got, want := ours.Close(), theirs.close(t)
	if got.Meta != want.Meta {
		t.Errorf("%d records: table %+v, want %+v", len(all), got.Meta, want.Meta)
	}
	if !bytes.Equal(got.Data, want.Data) {
		t.Errorf("%d records: the files differ\n%s\n%s", len(all), tail(got.Data), tail(want.Data))
	}
	if got.Sum != sha256.Sum256(got.Data) {
		t.Errorf("%d records: the sum %x is not that of the file", len(all), got.Sum)
	}
}

// tail returns the end of a file, where it describes itself.
func tail(data []byte) string {
	return fmt.Sprintf("%d bytes: …%q", len(data), data[max(0, len(data)-1400):])
}

// twin writes tables with pebble's writer, as lakeFS does.
type twin struct {
	kind  table.Kind
	file  memoryFile
	sst   *sstable.Writer
	props properties
	id    hash.Hash
	toID  []byte
	first []byte
	last  []byte
	count int64
}

func newTwin(kind table.Kind, buf []byte) *twin {
	w := &twin{kind: kind, id: sha256.New(), props: properties{"type": string(kind)}}
	w.file.data = buf[:0]
	w.sst = sstable.NewWriter(&w.file, sstable.WriterOptions{
		Compression: sstable.SnappyCompression,
		TablePropertyCollectors: []func() sstable.TablePropertyCollector{
			func() sstable.TablePropertyCollector { return w.props },
		},
	})
	return w
}

func (w *twin) add(t testing.TB, key, value []byte) {
	t.Helper()
	if err := w.sst.Set(key, value); err != nil {
		t.Fatal(err)
	}
	if w.count == 0 {
		w.first = bytes.Clone(key)
	}
	w.last = append(w.last[:0], key...)
	w.count++
	for _, b := range [][]byte{key, value} {
		w.toID = strconv.AppendInt(w.toID, int64(len(b)), 10)
		w.toID = append(append(w.toID, b...), '|')
	}
	if len(w.toID) >= 4096 {
		w.id.Write(w.toID)
		w.toID = w.toID[:0]
	}
}

func (w *twin) close(t testing.TB) table.Table {
	t.Helper()
	w.id.Write(ident.AppendStringMap(w.toID, w.props))
	meta := partition.RangeMetadata{
		ID: hex.EncodeToString(w.id.Sum(nil)), MinKey: string(w.first), MaxKey: string(w.last),
		Count: w.count, EstimatedSize: w.sst.EstimatedSize(),
	}
	w.props["min_key"], w.props["max_key"] = meta.MinKey, meta.MaxKey
	w.props["count"] = strconv.FormatInt(meta.Count, 10)
	w.props["estimated_size_bytes"] = strconv.FormatUint(meta.EstimatedSize, 10)
	if err := w.sst.Close(); err != nil {
		t.Fatal(err)
	}
	return table.Table{Meta: meta, Data: w.file.data}
}

// memoryFile is a file that pebble writes.
type memoryFile struct{ data []byte }

var _ objstorage.Writable = (*memoryFile)(nil)

func (f *memoryFile) Write(p []byte) error {
	f.data = append(f.data, p...)
	return nil
}

func (f *memoryFile) Finish() error { return nil }

func (f *memoryFile) Abort() {}

// properties is a collector that adds itself to a table's properties when the
// table is closed.
type properties map[string]string

var _ sstable.TablePropertyCollector = properties{}

func (properties) Add(sstable.InternalKey, []byte) error { return nil }

func (properties) Name() string { return "static" }

func (p properties) Finish(to map[string]string) error {
	maps.Copy(to, p)
	return nil
}
