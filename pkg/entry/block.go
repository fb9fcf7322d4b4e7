package entry

import (
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// block has the buffers of a record batch in Arrow's layout. A record is made over them
// only on demand: an import makes a batch for every thousand keys, and no record.
type block struct {
	key, address, etag texts
	size               []int64
	modTime            []arrow.Timestamp

	refs atomic.Int64
}

// blocks keeps the buffers of released batches. Without it, clearing new memory would
// cost more than writing entries to it.
var blocks = sync.Pool{New: func() any { return new(block) }}

// newBlock returns an empty block with one reference.
func newBlock() *block {
	b := blocks.Get().(*block)
	b.refs.Store(1)
	for _, t := range []*texts{&b.key, &b.address, &b.etag} {
		t.ends, t.data = append(t.ends[:0], 0), t.data[:0]
	}
	b.size, b.modTime = b.size[:0], b.modTime[:0]
	return b
}

func (b *block) retain() { b.refs.Add(1) }

func (b *block) release() {
	switch refs := b.refs.Add(-1); {
	case refs > 0:
	case refs < 0:
		panic("entry: batch released twice")
	default:
		blocks.Put(b)
	}
}

// record returns the record of the whole block, with a reference of its own.
func (b *block) record() arrow.Record {
	columns := make([]arrow.Array, Schema.NumFields())
	for col, buffers := range [][][]byte{
		colKey:     b.key.bytes(),
		colAddress: b.address.bytes(),
		colETag:    b.etag.bytes(),
		colSize:    {arrow.Int64Traits.CastToBytes(b.size)},
		colModTime: {arrow.TimestampTraits.CastToBytes(b.modTime)},
	} {
		shared := []*memory.Buffer{nil} // no nulls
		for _, buffer := range buffers {
			b.retain()
			shared = append(shared, memory.NewBufferWithAllocator(buffer, lender{b}))
		}
		data := array.NewData(Schema.Field(col).Type, len(b.size), shared, nil, 0, 0)
		for _, buffer := range shared[1:] {
			buffer.Release()
		}
		columns[col] = array.MakeFromData(data)
		data.Release()
	}
	rec := array.NewRecord(Schema, columns, int64(len(b.size)))
	for _, column := range columns {
		column.Release()
	}
	return rec
}

// lender is the allocator to which Arrow returns a buffer of a block.
type lender struct{ *block }

var _ memory.Allocator = lender{}

// Free releases the reference of one buffer.
func (l lender) Free([]byte) { l.release() }

// Allocate is never called: the buffers are immutable.
func (lender) Allocate(int) []byte { panic("entry: a buffer of a batch is asked to grow") }

// Reallocate is never called.
func (l lender) Reallocate(size int, _ []byte) []byte { return l.Allocate(size) }

// texts is a column of strings of bytes: string i is data[ends[i]:ends[i+1]].
type texts struct {
	ends []int32
	data []byte
}

func (t *texts) at(i int) []byte { return t.data[t.ends[i]:t.ends[i+1]:t.ends[i+1]] }

func (t *texts) append(head string, rest []byte) {
	t.data = append(append(t.data, head...), rest...)
	t.ends = append(t.ends, int32(len(t.data)))
}

func (t *texts) bytes() [][]byte { return [][]byte{arrow.Int32Traits.CastToBytes(t.ends), t.data} }
