package partition

import (
	"encoding/binary"
	"encoding/hex"
	"sort"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
)

// run is a chain of sound covers, packed: an import of 5 * 10^10 keys has about a million
// covers, and a coordinator holds those of many imports. None of them claims the end. A run
// is never empty. A copy is a snapshot: covers that are appended to the original later are
// not in it.
//
// Covers are stored in key order, and in each MinKey before Upto. Of each key only what
// it does not share with the key before is stored, since neighbours share most. A record
// is
//
//	kind: one byte, see below
//	MinKey, but for coverEmpty:  uvarint shared with After, uvarint length, the rest
//	Upto:                        uvarint shared with the key before, uvarint length, the rest
//	ID, but for coverEmpty:      32 bytes; with coverText uvarint length, bytes
//	Count, EstimatedSize, but for coverEmpty: uvarints
type run struct {
	Span
	tally

	sealed []block // full ones, or what a split left of them
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

// Kinds of records.
const (
	coverRange = iota
	coverEmpty // the cover has no range
	coverText  // the range's ID is not 64 hex digits
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

// startingAt returns the cover of the run that starts at a boundary that lies within it,
// if one does.
func (r *run) startingAt(after string) (found Cover, ok bool) {
	i := sort.Search(len(r.sealed), func(i int) bool { return r.block(i+1).after > after })
	for c := range r.block(i).covers {
		if c.After >= after {
			return c, c.After == after
		}
	}
	return Cover{}, false
}

// block returns the i-th block. The open one is the last.
func (r *run) block(i int) block {
	if i == len(r.sealed) {
		return r.open
	}
	return r.sealed[i]
}

// split cuts the run at its first boundary from key on, which lies within it and
// is not where it starts. It returns what follows, nil if nothing does. Blocks
// are shared with snapshots, and stay as they are.
func (r *run) split(key string) *run {
	i := sort.Search(len(r.sealed), func(i int) bool { return r.block(i+1).after >= key }) // starts before key
	old := r.block(i)
	head, tail := block{after: old.after}, block{} // tail may stay empty
	for c := range old.covers {
		if c.After < key {
			head.append(c)
			tail.after = c.Upto
		} else {
			tail.append(c)
		}
	}
	rest := &run{Span: Span{After: tail.after, Upto: r.Upto}, open: tail}
	if i < len(r.sealed) {
		rest.sealed, rest.open = append([]block{tail}, r.sealed[i+1:]...), r.open
	}
	if rest.open.data == nil {
		return nil
	}
	*r = run{Span: Span{After: r.After, Upto: rest.After}, sealed: r.sealed[:i:i], open: head}
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

// covers yields the covers of the block, in key order.
func (b block) covers(yield func(Cover) bool) {
	at := b.after
	for data := b.data; len(data) > 0; {
		var c Cover
		if c, data = takeCover(at, data); !yield(c) {
			return
		}
		at = c.Upto
	}
}

func appendCover(dst []byte, c Cover) []byte {
	if c.Range == nil {
		return appendKey(append(dst, coverEmpty), c.After, c.Upto)
	}
	kind := byte(coverRange)
	id, err := hex.DecodeString(c.Range.ID)
	if err != nil || len(id) != 32 || hex.EncodeToString(id) != c.Range.ID {
		kind = coverText
	}
	dst = appendKey(append(dst, kind), c.After, c.Range.MinKey)
	dst = appendKey(dst, c.Range.MinKey, c.Upto)
	if kind == coverText {
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
	if kind == coverEmpty {
		c.Upto, data = takeKey(after, data)
		return c, data
	}
	c.Range = &RangeMetadata{}
	c.Range.MinKey, data = takeKey(after, data)
	c.Upto, data = takeKey(c.Range.MinKey, data)
	c.Range.MaxKey = c.Upto
	if kind == coverText {
		var n uint64
		n, data = takeUvarint(data)
		c.Range.ID, data = string(data[:n]), data[n:]
	} else {
		var id [64]byte
		hex.Encode(id[:], data[:32])
		c.Range.ID, data = string(id[:]), data[32:]
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

// walker goes through the ranges of consecutive runs.
type walker struct {
	runs  []run
	block int    // of the first run, that comes next
	after string // where the next cover starts
	data  []byte // the rest of a block
}

func (w *walker) next() (r RangeMetadata, ok bool) {
	for len(w.data) > 0 || w.nextBlock() {
		var c Cover
		if len(w.data) > 0 {
			c, w.data = takeCover(w.after, w.data)
			w.after = c.Upto
		}
		if c.Range != nil {
			return *c.Range, true
		}
	}
	return r, false
}

// nextBlock goes to the next block, and reports whether there is one.
func (w *walker) nextBlock() bool {
	for len(w.runs) > 0 {
		if r := &w.runs[0]; w.block <= len(r.sealed) {
			b := r.block(w.block)
			w.block, w.after, w.data = w.block+1, b.after, b.data
			return true
		}
		w.runs, w.block = w.runs[1:], 0
	}
	return false
}
