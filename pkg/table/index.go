package table

import (
	"bytes"
	"encoding/binary"
)

// Trailers end the keys of data and index blocks: a kind and a sequence number.
const (
	trailerSize = 8
	keySet      = "\x01\x00\x00\x00\x00\x00\x00\x00" // kind set, number 0: of a record
	keyInvalid  = "\xbf\x00\x00\x00\x00\x00\x00\x00" // of the last key of a table without records
	keyMade     = "\x11\xff\xff\xff\xff\xff\xff\xff" // kind separator, highest number: of a key that only an index holds
)

// handle says where a block is in the file, without its trailer.
type handle struct{ offset, length int }

// maxHandle is what full takes for the length of a handle: two varints of 64
// bits.
const maxHandle = 2 * binary.MaxVarintLen64

func (h handle) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(h.offset)), uint64(h.length))
}

// index lists data blocks, each under a key that is not less than its keys and
// less than those of the next one. Where it outgrows one block, it is cut into
// parts, which an index of their own lists.
type index struct {
	open  block  // the last part
	last  []byte // the last key of open
	parts []part // before open
}

// part is a finished part of an index.
type part struct {
	last    []byte // its last key
	content []byte
	count   int // data blocks listed
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
	count := x.open.count
	x.parts = append(x.parts, part{bytes.Clone(x.last), bytes.Clone(x.open.finish()), count})
}

// reset empties the index and keeps its memory.
func (x *index) reset() {
	x.open.reset()
	x.open.every = everyRecord
	clear(x.parts)
	x.parts = x.parts[:0]
}

// appendSeparator appends the key under which an index lists the block that
// ends with the key last, where next is the key after it: the shortest that is
// easily made. last and the result have trailers, next has none.
func appendSeparator(dst, last, next []byte) []byte {
	user := last[:len(last)-trailerSize]
	i := sharedPrefix(user, next)
	switch {
	case i == len(user):
		return append(dst, last...) // next continues it
	case i < len(next)-1 || user[i]+1 < next[i]:
		return appendIncremented(dst, user[:i+1], i)
	}
	// One more than user[i] is next itself: go on behind it.
	return appendAbove(dst, last, i+1)
}

// appendSuccessor appends the key under which an index lists the last block,
// which ends with the key last. Both have trailers.
func appendSuccessor(dst, last []byte) []byte { return appendAbove(dst, last, 0) }

// appendAbove appends a key greater than last that differs from it first at
// from or later, or last if there is none.
func appendAbove(dst, last []byte, from int) []byte {
	user := last[:len(last)-trailerSize]
	for i := from; i < len(user); i++ {
		if user[i] != 0xff {
			return appendIncremented(dst, user[:i+1], i)
		}
	}
	return append(dst, last...)
}

// appendIncremented appends key with one more at its last place, i.
func appendIncremented(dst, key []byte, i int) []byte {
	dst = append(append(dst, key[:i]...), key[i]+1)
	return append(dst, keyMade...)
}
