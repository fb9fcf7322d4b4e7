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

// raw is what the entries of a page come to, in the forms that are hashed and
// compressed.
type raw struct {
	identities [][]byte // what each identity is the hash of
	records    []byte   // what they add to what the ID of a range is the hash of
	blocks     [][]byte // what is compressed of them
}

// Blocks of tables: how large they are before compression, how many records share
// what their keys start with, and what the keys end with.
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

// floor does to every object what no program that writes these files can do
// without, by the fastest means known here, on input that is ready: it looks at
// each byte of the page once, and finds the tags; hashes the identities, two at a
// time, and the records, those of two pages at a time, as if they were in two
// ranges; and compresses the blocks.
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
