package partition

import (
	"encoding/binary"
	"encoding/hex"
	"iter"
	"sort"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// run is a chain of covers, packed: an import of 5 * 10^10 keys has about a million covers,
// and a coordinator holds those of many imports. None of them claims the end. A run is
// never empty. A copy is a snapshot: covers that are appended to the original later are not
// in it.
//
// Covers are stored in key order, and in each MinKey before Upto. Of each key only what
// it does not share with the key before is stored, since neighbours share most. A record
// is
//
//	kind: one byte, see below
//	MinKey, but for coverEmpty:  uvarint shared with After, uvarint length, the rest
//	Upto:                        uvarint shared with the key before, uvarint length, the rest
//	MaxKey, with coverOther:     uvarint shared with Upto, uvarint length, the rest
//	ID, but for coverEmpty:      32 bytes; with coverText uvarint length, bytes
//	Count, EstimatedSize, but for coverEmpty: uvarints
type run struct {
	Span
	tally

	sealed []block // full ones
	open   block   // the last one
}

// block is some covers of a run.
type block struct {
	tally
	after string // where its first cover starts
	data  []byte
}

// tally is a number of ranges, and of the objects in them.
type tally struct {
	objects int64
	ranges  int
}

func (t *tally) add(o tally) {
	t.objects += o.objects
	t.ranges += o.ranges
}

func (c Cover) tally() tally {
	if c.Range == nil {
		return tally{}
	}
	return tally{c.Range.Count, 1}
}

// blockSize is the size at which a block is full. To find a cover, one block is decoded.
const blockSize = 4 << 10

// Kinds of records, as bits.
const (
	coverEmpty = 1 << iota // the cover has no range
	coverOther             // the range's MaxKey is not Upto
	coverText              // the range's ID is not 64 hex digits
)

// newRun returns the run of one cover.
func newRun(c Cover) *run {
	r := &run{Span: Span{After: c.After, Upto: c.After}, open: block{after: c.After}}
	r.append(c)
	return r
}

// append adds the cover that starts where the run ends.
func (r *run) append(c Cover) {
	if len(r.open.data) >= blockSize {
		r.sealed = append(r.sealed, r.open)
		r.open = block{after: c.After, data: make([]byte, 0, blockSize+blockSize/8)}
	}
	r.open.append(c)
	r.add(c.tally())
	r.Upto = c.Upto
}

func (b *block) append(c Cover) {
	b.data = appendCover(b.data, c)
	b.add(c.tally())
}

// covers yields the covers of the run, in key order.
func (r *run) covers() iter.Seq[Cover] {
	return func(yield func(Cover) bool) {
		for _, b := range r.sealed {
			if !b.each(yield) {
				return
			}
		}
		r.open.each(yield)
	}
}

// startingAt returns the cover of the run that starts at a boundary, if one does.
func (r *run) startingAt(after string) (found Cover, ok bool) {
	r.block(r.blockOf(after)).each(func(c Cover) bool {
		if c.After == after {
			found, ok = c, true
		}
		return c.After < after
	})
	return found, ok
}

// block returns the i-th block. The open one is the last.
func (r *run) block(i int) block {
	if i == len(r.sealed) {
		return r.open
	}
	return r.sealed[i]
}

// blockOf returns the index of the last block that does not start after key,
// which lies within the run.
func (r *run) blockOf(key string) int {
	return sort.Search(len(r.sealed), func(i int) bool { return r.block(i+1).after > key })
}

// split cuts the run at its first boundary from key on, which lies within it and
// is not where it starts. It returns what follows, nil if nothing does. Blocks
// are shared with snapshots, and stay as they are.
func (r *run) split(key string) *run {
	i := r.blockOf(key)
	old := r.block(i)
	head, tail := block{after: old.after}, block{}
	old.each(func(c Cover) bool {
		switch {
		case c.After < key:
			head.append(c)
			return true
		case tail.data == nil:
			tail.after = c.After
		}
		tail.append(c)
		return true
	})
	rest := &run{Span: r.Span, tally: r.tally, sealed: r.sealed[min(i+1, len(r.sealed)):], open: r.open}
	switch {
	case i == len(r.sealed):
		rest.open = tail
	case tail.data != nil:
		rest.sealed = append([]block{tail}, rest.sealed...)
	}
	if rest.open.data == nil {
		return nil
	}
	rest.After = rest.block(0).after
	*r = run{Span: Span{After: r.After, Upto: rest.After}, sealed: r.sealed[:i:i], open: head}
	if head.data == nil { // key is where the block starts
		r.sealed, r.open = r.sealed[:i-1:i-1], r.sealed[i-1]
	}
	r.retally()
	rest.retally()
	return rest
}

// retally counts the blocks.
func (r *run) retally() {
	r.tally = r.open.tally
	for _, b := range r.sealed {
		r.add(b.tally)
	}
}

// bytes is about how much memory the run takes.
func (r *run) bytes() int {
	n := 160 + len(r.After) + len(r.Upto) + cap(r.open.data) + cap(r.sealed)*56
	for _, b := range r.sealed {
		n += cap(b.data) + len(b.after)
	}
	return n
}

// each yields the covers of the block, and reports whether the caller wanted all.
func (b block) each(yield func(Cover) bool) bool {
	at := b.after
	for data := b.data; len(data) > 0; {
		var c Cover
		c, data = takeCover(at, data)
		if !yield(c) {
			return false
		}
		at = c.Upto
	}
	return true
}

func appendCover(dst []byte, c Cover) []byte {
	if c.Range == nil {
		return appendKey(append(dst, coverEmpty), c.After, c.Upto)
	}
	var kind byte
	if c.Range.MaxKey != c.Upto {
		kind |= coverOther
	}
	id, err := hex.DecodeString(c.Range.ID)
	if err != nil || len(id) != 32 || hex.EncodeToString(id) != c.Range.ID {
		kind |= coverText
	}
	dst = appendKey(append(dst, kind), c.After, c.Range.MinKey)
	dst = appendKey(dst, c.Range.MinKey, c.Upto)
	if kind&coverOther != 0 {
		dst = appendKey(dst, c.Upto, c.Range.MaxKey)
	}
	if kind&coverText != 0 {
		dst = append(binary.AppendUvarint(dst, uint64(len(c.Range.ID))), c.Range.ID...)
	} else {
		dst = append(dst, id...)
	}
	dst = binary.AppendUvarint(dst, uint64(c.Range.Count))
	return binary.AppendUvarint(dst, c.Range.EstimatedSize)
}

// appendKey appends a key that follows another one.
func appendKey(dst []byte, before, key string) []byte {
	shared := keyspace.Common(before, key)
	dst = binary.AppendUvarint(dst, uint64(shared))
	dst = binary.AppendUvarint(dst, uint64(len(key)-shared))
	return append(dst, key[shared:]...)
}

// takeCover decodes the first cover of data, which starts at after. It checks nothing:
// packed covers never leave the process.
func takeCover(after string, data []byte) (c Cover, rest []byte) {
	kind := data[0]
	data = data[1:]
	c.After = after
	if kind&coverEmpty != 0 {
		c.Upto, data = takeKey(after, data)
		return c, data
	}
	c.Range = &RangeMetadata{}
	c.Range.MinKey, data = takeKey(after, data)
	c.Upto, data = takeKey(c.Range.MinKey, data)
	c.Range.MaxKey = c.Upto
	if kind&coverOther != 0 {
		c.Range.MaxKey, data = takeKey(c.Upto, data)
	}
	if kind&coverText != 0 {
		var n uint64
		n, data = takeUvarint(data)
		c.Range.ID, data = string(data[:n]), data[n:]
	} else {
		c.Range.ID, data = hex.EncodeToString(data[:32]), data[32:]
	}
	var count uint64
	count, data = takeUvarint(data)
	c.Range.Count = int64(count)
	c.Range.EstimatedSize, data = takeUvarint(data)
	return c, data
}

func takeKey(before string, data []byte) (key string, rest []byte) {
	shared, data := takeUvarint(data)
	n, data := takeUvarint(data)
	return before[:shared] + string(data[:n]), data[n:]
}

func takeUvarint(data []byte) (n uint64, rest []byte) {
	n, size := binary.Uvarint(data)
	return n, data[size:]
}
