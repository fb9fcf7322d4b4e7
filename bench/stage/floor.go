package stage

import (
	"bytes"
	"context"
	"strconv"

	"github.com/golang/snappy"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/ident"
)

// raw holds the entries of a page in the forms that are hashed and compressed.
type raw struct {
	identities [][]byte // inputs of the identity hashes
	records    []byte   // their part of the input of a range's ID
	blocks     [][]byte // their blocks, before compression
}

// Properties of the blocks of tables: size before compression, number of records between
// restart points, and the trailer of each key.
const (
	blockSize  = 4096
	restart    = 16
	keyTrailer = "\x01\x00\x00\x00\x00\x00\x00\x00"
)

func newRaw(b entry.Batch, values [][]byte) raw {
	var r raw
	var block []byte
	for i, value := range values {
		key := b.Key(i)
		r.identities = append(r.identities, ident.AppendStringMap(ident.AppendString(ident.AppendInt64(nil, b.Size(i)), b.ETag(i)), nil))
		for _, part := range [][]byte{key, value} {
			r.records = append(append(strconv.AppendInt(r.records, int64(len(part)), 10), part...), '|')
		}
		shared := 0
		if i%restart > 0 {
			for before := b.Key(i - 1); shared < min(len(before), len(key)) && before[shared] == key[shared]; {
				shared++
			}
		}
		block = append(block, byte(shared), byte(len(key)-shared), byte(len(value)))
		block = append(append(append(block, key[shared:]...), keyTrailer...), value...)
		if len(block) >= blockSize || i == len(values)-1 {
			r.blocks, block = append(r.blocks, block), nil
		}
	}
	return r
}

// floor does the work that every program that writes these files has to do, by the fastest
// known means and on prepared input. It reads each byte of the page once and finds the tags.
// It hashes the identities, two at a time. It hashes the records of two pages at a time, as
// if they were in two ranges. It compresses the blocks.
func floor(_ context.Context, in *Input) (Step, error) {
	var ids sha256x2.Pair
	ids.Reset()
	var before, compressed []byte
	tags := 0
	return func(page int) error {
		for rest := in.XML[page]; ; tags++ {
			at := bytes.IndexByte(rest, '<')
			if at < 0 {
				break
			}
			rest = rest[at+1:]
		}
		r := in.raw[page]
		for i := 0; i+1 < len(r.identities); i += 2 {
			sha256x2.Sums(r.identities[i], r.identities[i+1])
		}
		if before == nil {
			before = r.records
		} else {
			ids.Write(before, r.records)
			before = nil
		}
		for _, block := range r.blocks {
			compressed = snappy.Encode(compressed[:cap(compressed)], block)
		}
		return nil
	}, nil
}
