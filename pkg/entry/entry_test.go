package entry_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
)

func all(b entry.Batch) []entry.Entry {
	var out []entry.Entry
	for i := range b.Len() {
		out = append(out, b.Entry(i))
	}
	return out
}

func TestBatchesHoldWhatWasAppended(t *testing.T) {
	want := entrytest.Random(seeded.Rand(t), 500)
	b := entrytest.Batch(want...)
	defer b.Release()
	if got := all(b); !slices.Equal(got, want) {
		t.Error("entries differ from what was appended")
	}
	for i, e := range want {
		if string(b.Key(i)) != e.Key || string(b.Address(i)) != e.Address || string(b.ETag(i)) != e.ETag || b.Size(i) != e.Size || b.ModTime(i) != e.ModTime.UnixNano() {
			t.Fatalf("columns of %d: %q %q %q %d %d, want %+v", i, b.Key(i), b.Address(i), b.ETag(i), b.Size(i), b.ModTime(i), e)
		}
	}
}

func TestSlices(t *testing.T) {
	rng := seeded.Rand(t)
	want := entrytest.Random(rng, 100)
	whole := entrytest.Batch(want...)
	for range 200 {
		i := rng.IntN(len(want) + 1)
		j := i + rng.IntN(len(want)+1-i)
		part := whole.Slice(i, j)
		if part.Len() != j-i || !slices.Equal(all(part), want[i:j]) {
			t.Fatalf("Slice(%d, %d) holds %d entries", i, j, part.Len())
		}
		if n := part.Len(); n > 1 {
			inner := part.Slice(1, n)
			if !slices.Equal(all(inner), want[i+1:j]) {
				t.Fatalf("a slice of Slice(%d, %d) is shifted", i, j)
			}
			inner.Release()
		}
		part.Release()
	}
	last := whole.Slice(50, 100)
	whole.Release()
	if !slices.Equal(all(last), want[50:]) { // it holds a reference of its own
		t.Error("a slice did not outlive its batch")
	}
	last.Release()
}

func TestABuilderStartsAnewAfterEachBatch(t *testing.T) {
	b := entry.NewBuilder()
	key := []byte("key")
	b.Append(key, []byte("a"), nil, 1, 2)
	copy(key, "xxx") // it was copied
	first := b.Batch()
	if b.Len() != 0 {
		t.Errorf("%d entries are left in the builder", b.Len())
	}
	b.Append([]byte("second"), nil, nil, 0, 7)
	if b.Len() != 1 {
		t.Errorf("Len = %d, want 1", b.Len())
	}
	second, empty := b.Batch(), b.Batch()
	if got := all(first); len(got) != 1 || got[0] != (entry.Entry{Key: "key", Address: "a", Size: 1, ModTime: time.Unix(0, 2).UTC()}) {
		t.Errorf("first batch %+v", got)
	}
	if got := all(second); len(got) != 1 || got[0].Key != "second" || got[0].ModTime != time.Unix(0, 7).UTC() {
		t.Errorf("second batch %+v", got)
	}
	if empty.Len() != 0 {
		t.Errorf("an empty batch has %d entries", empty.Len())
	}
}

func TestTheZeroBatchIsEmpty(t *testing.T) {
	var b entry.Batch
	if b.Len() != 0 {
		t.Errorf("Len = %d", b.Len())
	}
	b.Release()
}
