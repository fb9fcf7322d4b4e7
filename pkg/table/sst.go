package table

import (
	"encoding/binary"

	"github.com/rangefleet/rangefleet/pkg/keyspace"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// footerSize is the size of the footer: one byte, two handles of up to 20 bytes
// and padding, a version and a magic number.
const footerSize = 1 + 2*maxHandle + 4 + 8

// sst builds an SSTable in memory, byte for byte the one that pebble's writer makes of
// the same records with Snappy and its other defaults. It has only the features that
// ranges and metaranges use.
type sst struct {
	buf   blocks // the finished blocks, in the end the whole file
	data  block  // the open data block
	index index
	last  []byte // key of the last record, with its trailer
	sep   []byte // scratch: a key of the index

	count                    int // records
	rawKeySize, rawValueSize int // sums over the records; keys with trailers
}

// reset starts an empty file in the memory of buf, which it replaces if the file
// outgrows it.
func (s *sst) reset(buf []byte) {
	s.data.reset()
	s.data.every = everySixteenth
	s.index.reset()
	*s = sst{buf: buf[:0], data: s.data, index: s.index, last: append(s.last[:0], keyInvalid...), sep: s.sep}
}

// lastKey returns the key added last; "" if there is none.
func (s *sst) lastKey() []byte { return s.last[:len(s.last)-trailerSize] }

// add appends a record and reports whether its key is greater than all before.
// If it is not, nothing is added.
func (s *sst) add(key, value []byte) bool {
	shared := keyspace.Common(s.last, key) // may include a part of the trailer, as in pebble
	if s.count > 0 && !follows(key, s.lastKey(), shared) {
		return false
	}
	if s.data.full(len(key)+trailerSize, len(value)) {
		s.sep = appendSeparator(s.sep[:0], s.last, key)
		s.endDataBlock()
	}
	s.last = append(append(s.last[:shared], key[shared:]...), keySet...)
	s.data.add(s.last, shared, value)
	s.count++
	s.rawKeySize += len(s.last)
	s.rawValueSize += len(value)
	return true
}

// follows reports whether key is greater than last, where shared is the length of what
// they have in common at the start.
func follows(key, last []byte, shared int) bool {
	if shared >= len(last) {
		return len(key) > len(last)
	}
	return shared < len(key) && key[shared] > last[shared]
}

// endDataBlock writes the open data block and lists it under the key sep.
func (s *sst) endDataBlock() {
	s.index.add(s.sep, s.buf.compress(s.data.finish()))
}

// estimatedSize is pebble's estimate of the size that the file would have if it ended
// now: without finished parts of the index, properties and footer, and with open blocks
// uncompressed.
func (s *sst) estimatedSize() int {
	return len(s.buf) + s.data.size() + s.index.open.size()
}

// finish completes the file and returns it.
func (s *sst) finish(kind Kind, meta partition.RangeMetadata) []byte {
	s.sep = appendAbove(s.sep[:0], s.last, 0)
	s.endDataBlock()
	sizes := sizes{data: len(s.buf)}
	root := s.writeIndex(&sizes)

	b := block{every: onlyFirstRecord}
	var last string
	for _, p := range s.properties(kind, meta, sizes) {
		b.add([]byte(p.name), keyspace.Common(last, p.name), p.value)
		last = p.name
	}
	at := s.buf.write(b.finish())
	b.add([]byte(propertiesBlock), 0, at.append(nil))
	s.writeFooter(s.buf.write(b.finish()), root)
	return s.buf
}

// writeIndex writes the index, sets its sizes, and returns the handle of its root.
func (s *sst) writeIndex(sizes *sizes) handle {
	x := &s.index
	if len(x.parts) == 0 {
		sizes.dataBlocks = x.open.count
		content := x.open.finish()
		sizes.index = len(content) + blockTrailerSize
		return s.buf.compress(content)
	}
	x.cut()
	begin, from := len(s.buf), 0
	s.buf = append(s.buf, x.blocks...)
	top := block{every: everyRecord}
	for _, p := range x.parts {
		sizes.dataBlocks += p.count
		sizes.index += p.size
		top.add(x.lasts[from:p.lastEnd], 0, handle{begin + p.at.offset, p.at.length}.append(make([]byte, 0, maxHandle)))
		from = p.lastEnd
	}
	content := top.finish()
	sizes.parts = len(x.parts)
	sizes.topIndex = len(content)
	sizes.index += len(content) + blockTrailerSize
	return s.buf.compress(content)
}

// writeFooter ends the file.
func (s *sst) writeFooter(metaindex, index handle) {
	at := len(s.buf)
	s.buf = append(s.buf, checksumCRC32C)
	s.buf = index.append(metaindex.append(s.buf))
	s.buf = append(s.buf, make([]byte, at+footerSize-12-len(s.buf))...)
	s.buf = binary.LittleEndian.AppendUint32(s.buf, formatVersion)
	s.buf = append(s.buf, magic...)
}
