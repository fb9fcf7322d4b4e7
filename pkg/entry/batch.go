package entry

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
)

// Batch is a record batch of Schema without nulls. Within a batch keys are
// strictly increasing. A batch is immutable and may be read concurrently.
//
// A batch is a counted reference to its buffers, which other batches may share. Slices
// that its methods return point into the buffers, and are valid until the last reference
// is released: then another batch uses the memory. A copy of a Batch is the same
// reference. Each reference is released once. The zero Batch is empty and needs no
// release.
type Batch struct {
	block   *block
	from, n int // the entries of the block that are the batch's
}

// Record returns the batch as an Arrow record over the same buffers. The record is a
// reference of its own, which the caller releases.
func (b Batch) Record() arrow.Record {
	if b.block == nil {
		b = NewBuilder().Batch()
		defer b.Release()
	}
	rec := b.block.record()
	defer rec.Release()
	return rec.NewSlice(int64(b.from), int64(b.from+b.n))
}

// Len returns the number of entries.
func (b Batch) Len() int { return b.n }

// Key returns the destination key of entry i.
func (b Batch) Key(i int) []byte { return b.block.key.at(b.from + i) }

// Address returns the physical address of entry i.
func (b Batch) Address(i int) []byte { return b.block.address.at(b.from + i) }

// ETag returns the ETag of entry i, without quotes.
func (b Batch) ETag(i int) []byte { return b.block.etag.at(b.from + i) }

// Size returns the size of object i in bytes.
func (b Batch) Size(i int) int64 { return b.block.size[b.from+i] }

// ModTime returns the modification time of object i in nanoseconds since the Unix epoch.
func (b Batch) ModTime(i int) int64 { return int64(b.block.modTime[b.from+i]) }

// Entry returns a copy of entry i, which outlives the batch.
func (b Batch) Entry(i int) Entry {
	return Entry{
		Key:     string(b.Key(i)),
		Address: string(b.Address(i)),
		ETag:    string(b.ETag(i)),
		Size:    b.Size(i),
		ModTime: time.Unix(0, b.ModTime(i)).UTC(),
	}
}

// Slice returns entries [i, j) as a batch that shares the buffers and is a
// reference of its own.
func (b Batch) Slice(i, j int) Batch {
	if i < 0 || j < i || j > b.n {
		panic(fmt.Sprintf("slice [%d, %d) of a batch of %d entries", i, j, b.n))
	}
	if b.block != nil {
		b.block.retain()
	}
	return Batch{block: b.block, from: b.from + i, n: j - i}
}

// Release releases the reference.
func (b Batch) Release() {
	if b.block != nil {
		b.block.release()
	}
}

// ASCII reports whether all text of the batch is ASCII, and so valid UTF-8. It reads each
// column as a whole, which costs a fraction of reading text by text.
func (b Batch) ASCII() bool {
	if b.Len() == 0 {
		return true
	}
	for _, t := range []*texts{&b.block.key, &b.block.address, &b.block.etag} {
		if !ascii(t.data[t.ends[b.from]:t.ends[b.from+b.n]]) {
			return false
		}
	}
	return true
}

func ascii(text []byte) bool {
	const high = 0x8080808080808080 // the bits that no ASCII byte has
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(text[at:]) }
	for ; len(text) >= 32; text = text[32:] {
		if (word(0)|word(8)|word(16)|word(24))&high != 0 {
			return false
		}
	}
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
