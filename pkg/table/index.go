package table

import "github.com/rangefleet/rangefleet/pkg/keyspace"

// Trailers end the keys of data and index blocks: a kind and a sequence number.
const (
	trailerSize = 8
	keySet      = "\x01\x00\x00\x00\x00\x00\x00\x00" // kind set, number 0: of a record
	keyInvalid  = "\xbf\x00\x00\x00\x00\x00\x00\x00" // of the last key of a table without records
	keyMade     = "\x11\xff\xff\xff\xff\xff\xff\xff" // kind separator, highest number: of a key that only an index holds
)

// index lists data blocks, each under a key that is not less than its keys and less than
// those of the next block. An index that outgrows one block is cut into parts, which
// another index lists.
type index struct {
	open block  // the last part
	last []byte // the last key of open

	// The parts before open. Their keys may take more memory than all data.
	parts  []part
	lasts  []byte // their last keys, one after another
	blocks blocks // their blocks, as they go into the file
}

// part is a finished part of an index.
type part struct {
	lastEnd int    // where its last key ends in lasts
	at      handle // where it is in blocks
	size    int    // of its block before compression
	count   int    // data blocks listed
}

// add lists a data block under a key.
func (x *index) add(key []byte, h handle) {
	if x.open.full(len(key), maxHandle) {
		x.cut()
	}
	x.last = append(x.last[:0], key...)
	x.open.add(key, 0, h.append(make([]byte, 0, maxHandle)))
}

// cut ends the open part.
func (x *index) cut() {
	x.lasts = append(x.lasts, x.last...)
	count := x.open.count
	content := x.open.finish()
	x.parts = append(x.parts, part{len(x.lasts), x.blocks.compress(content), len(content), count})
}

// reset empties the index and keeps its memory.
func (x *index) reset() {
	x.open.reset()
	x.open.every = everyRecord
	x.parts, x.lasts, x.blocks = x.parts[:0], x.lasts[:0], x.blocks[:0]
}

// appendSeparator appends the key under which an index lists the block that ends with
// the key last: a short key that is not less than last and less than next, the first key
// of the next block. last and the result have trailers, next has none.
func appendSeparator(dst, last, next []byte) []byte {
	user := last[:len(last)-trailerSize]
	i := keyspace.Common(user, next)
	switch {
	case i == len(user):
		return append(dst, last...) // it is a prefix of next
	case i < len(next)-1 || user[i]+1 < next[i]:
		return appendIncremented(dst, user[:i+1], i)
	}
	// An incremented user[i] would make next itself: increment a later byte.
	return appendAbove(dst, last, i+1)
}

// appendAbove appends a key that is greater than last and equal to it before from, or
// last if there is none. From 0 on, it is the key under which an index lists the last block.
func appendAbove(dst, last []byte, from int) []byte {
	user := last[:len(last)-trailerSize]
	for i := from; i < len(user); i++ {
		if user[i] != 0xff {
			return appendIncremented(dst, user[:i+1], i)
		}
	}
	return append(dst, last...)
}

// appendIncremented appends key with its last byte, at i, incremented.
func appendIncremented(dst, key []byte, i int) []byte {
	dst = append(append(dst, key[:i]...), key[i]+1)
	return append(dst, keyMade...)
}
