// Package tampered corrupts table files under valid checksums, for tests. It changes blocks
// before or after compression, and recomputes checksums and handles. Only a reader that checks
// each number and the ID of the file detects such a change. Files must be valid at first.
package tampered

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"

	"github.com/golang/snappy"
)

const (
	trailerSize = 5  // trailer of a block: its type and a checksum
	footerSize  = 53 // footer of a file
	properties  = "rocksdb.properties"
	indexType   = "rocksdb.block.based.table.index.type"
)

// record is a record of a block.
type record struct{ key, value []byte }

// File is a table file that was taken apart.
type File struct {
	data   [][]byte   // contents of the data blocks
	parts  [][][]byte // parts of the index: the keys of the data blocks in each
	keys   [][]byte   // keys of the parts in the index; nil if it has one level
	props  []record
	footer []byte
}

// TakeApart takes a table file apart.
func TakeApart(file []byte) *File {
	f := &File{footer: file[len(file)-footerSize:]}
	metaindex, rest := handleOf(file, f.footer[1:])
	index, _ := handleOf(file, rest)
	for _, rec := range records(metaindex) {
		if string(rec.key) == properties {
			block, _ := handleOf(file, rec.value)
			f.props = records(block)
		}
	}
	if f.property(indexType)[0] == 0 {
		f.addPart(file, index)
		return f
	}
	for _, rec := range records(index) {
		part, _ := handleOf(file, rec.value)
		f.addPart(file, part)
		f.keys = append(f.keys, rec.key)
	}
	return f
}

func (f *File) addPart(file, part []byte) {
	var keys [][]byte
	for _, rec := range records(part) {
		block, _ := handleOf(file, rec.value)
		f.data, keys = append(f.data, block), append(keys, rec.key)
	}
	f.parts = append(f.parts, keys)
}

func (f *File) property(name string) []byte {
	for _, rec := range f.props {
		if string(rec.key) == name {
			return rec.value
		}
	}
	panic(fmt.Sprintf("the file has no property %s", name))
}

// SetProperty changes a property of the table.
func (f *File) SetProperty(name, value string) {
	copied := slices.Clone(f.props)
	for i, rec := range copied {
		if string(rec.key) == name {
			copied[i].value = []byte(value)
		}
	}
	f.props = copied
}

// Data returns the contents of the data blocks.
func (f *File) Data() [][]byte { return f.data }

// SetData replaces the content of a data block.
func (f *File) SetData(i int, content []byte) {
	f.data = slices.Clone(f.data)
	f.data[i] = content
}

// Bytes returns the assembled file.
func (f *File) Bytes() []byte { return f.assemble(func(b []byte) []byte { return b }) }

// Mutated returns the file with up to three random changes, to blocks or the footer.
func (f *File) Mutated(rng *rand.Rand) []byte {
	chosen := map[int]bool{}
	for range 1 + rng.IntN(3) {
		chosen[rng.IntN(f.steps())] = true
	}
	step := -1
	return f.assemble(func(b []byte) []byte {
		if step++; chosen[step] {
			return mutate(rng, b)
		}
		return b
	})
}

// Overwritten returns the file with a part of a block overwritten, before or after
// compression, or a part of the footer.
func (f *File) Overwritten(block, at int, with []byte) []byte {
	block %= f.steps()
	step := -1
	return f.assemble(func(b []byte) []byte {
		if step++; step != block {
			return b
		}
		b = slices.Clone(b)
		copy(b[min(at, len(b)):], with)
		return b
	})
}

// steps returns how many times assemble calls its argument.
func (f *File) steps() int {
	blocks := len(f.data) + len(f.parts) + 2 // properties and metaindex
	if len(f.keys) > 0 {
		blocks++
	}
	return 2*blocks + 1
}

// assemble puts the file together. It passes each block to change, before and after
// compression, and finally the footer.
func (f *File) assemble(change func([]byte) []byte) []byte {
	w := &assembly{change: change}
	next := 0
	var top []record
	for i, keys := range f.parts {
		var part []record
		for _, key := range keys {
			part = append(part, record{key, w.block(f.data[next], true)})
			next++
		}
		at := w.block(encode(part, 1), true)
		if len(f.keys) > 0 {
			top = append(top, record{f.keys[i], at})
			continue
		}
		return w.finish(f, at)
	}
	return w.finish(f, w.block(encode(top, 1), true))
}

// assembly is a file that is being put together.
type assembly struct {
	out    []byte
	change func([]byte) []byte
}

// block appends a block and returns its handle.
func (w *assembly) block(content []byte, compressed bool) (handle []byte) {
	stored, kind := w.change(content), byte(0)
	if compressed {
		stored, kind = snappy.Encode(nil, stored), 1
	}
	stored = w.change(stored)
	handle = binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(w.out))), uint64(len(stored)))
	begin := len(w.out)
	w.out = append(append(w.out, stored...), kind)
	sum := crc32.Checksum(w.out[begin:], crc32.MakeTable(crc32.Castagnoli))
	w.out = binary.LittleEndian.AppendUint32(w.out, (sum>>15|sum<<17)+0xa282ead8)
	return handle
}

func (w *assembly) finish(f *File, index []byte) []byte {
	props := w.block(encode(f.props, 1<<30), false)
	metaindex := w.block(encode([]record{{[]byte(properties), props}}, 1), false)
	footer := append([]byte{f.footer[0]}, append(metaindex, index...)...)
	footer = append(footer, make([]byte, footerSize-12-len(footer))...)
	footer = append(footer, f.footer[footerSize-12:]...)
	return append(w.out, w.change(footer)...)
}

// mutate returns a copy of b with a random change.
func mutate(rng *rand.Rand, b []byte) []byte {
	b = slices.Clone(b)
	at := rng.IntN(len(b) + 1)
	switch rng.IntN(8) {
	case 0: // cut it
		return b[:at]
	case 1: // insert bytes
		return append(b[:at:at], append(random(rng, 1+rng.IntN(20)), b[at:]...)...)
	case 2: // change the end: restart points, or the handles of a footer
		n := min(12, len(b))
		copy(b[len(b)-n:], random(rng, n))
	case 3: // write a large number in 4 bytes
		copy(b[max(0, len(b)-4*(1+rng.IntN(4))):], [][]byte{{0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0x80}, {0xff, 0xff, 0xff, 0x7f}, {0, 0, 0, 0}}[rng.IntN(4)])
	case 4: // write a large varint
		copy(b[at:], binary.AppendUvarint(nil, rng.Uint64()>>rng.IntN(64)))
	case 5: // copy a part to another place
		from := rng.IntN(len(b) + 1)
		copy(b[at:], b[from:min(len(b), from+rng.IntN(40))])
	case 6: // change a byte by one
		if at < len(b) {
			b[at] += byte(rng.IntN(2)*2 - 1)
		}
	default:
		for range 1 + rng.IntN(4) {
			if len(b) > 0 {
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			}
		}
	}
	return b
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// encode returns the content of a block with a restart point after every number of records.
func encode(all []record, every int) []byte {
	var out, restarts []byte
	n := 0
	for i, rec := range all {
		if i%every == 0 {
			restarts, n = binary.LittleEndian.AppendUint32(restarts, uint32(len(out))), n+1
		}
		out = append(out, 0)
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(len(rec.key))), uint64(len(rec.value)))
		out = append(append(out, rec.key...), rec.value...)
	}
	return binary.LittleEndian.AppendUint32(append(out, restarts...), uint32(n))
}

// records returns the records of a block.
func records(block []byte) (all []record) {
	n := int(binary.LittleEndian.Uint32(block[len(block)-4:]))
	var key []byte
	for b := block[:len(block)-4-4*n]; len(b) > 0; {
		var lengths [3]int
		for i := range lengths {
			v, w := binary.Uvarint(b)
			lengths[i], b = int(v), b[w:]
		}
		key = append(append([]byte(nil), key[:lengths[0]]...), b[:lengths[1]]...)
		b = b[lengths[1]:]
		all = append(all, record{key, b[:lengths[2]]})
		b = b[lengths[2]:]
	}
	return all
}

// handleOf returns the content of the block whose handle b begins with, and the rest of b.
func handleOf(file, b []byte) (content, rest []byte) {
	offset, n := binary.Uvarint(b)
	length, m := binary.Uvarint(b[n:])
	stored := file[offset : offset+length]
	if file[offset+length] == 0 {
		return stored, b[n+m:]
	}
	content, err := snappy.Decode(nil, stored)
	if err != nil {
		panic(fmt.Sprintf("take a table apart: %v", err))
	}
	return content, b[n+m:]
}
