package entry

import "github.com/apache/arrow/go/v15/arrow"

// Builder collects entries into batches. It is for one goroutine. The zero value
// is not usable; see NewBuilder.
type Builder struct {
	block                *block
	keyHead, addressHead string
}

// NewBuilder returns an empty builder. It needs no release.
func NewBuilder() *Builder { return &Builder{block: newBlock()} }

// Prepend sets the prefixes of all keys and addresses that are appended from now on: the
// caller appends only the rest of each.
func (b *Builder) Prepend(key, address string) { b.keyHead, b.addressHead = key, address }

// Append adds one entry; it copies its arguments. modTime counts nanoseconds
// since the Unix epoch. Keys must strictly increase, and each column of a batch must
// stay below 2 GiB.
func (b *Builder) Append(key, address, etag []byte, size, modTime int64) {
	b.block.key.append(b.keyHead, key)
	b.block.address.append(b.addressHead, address)
	b.block.etag.append("", etag)
	b.block.size = append(b.block.size, size)
	b.block.modTime = append(b.block.modTime, arrow.Timestamp(modTime))
}

// Len returns the number of entries appended since the last Batch.
func (b *Builder) Len() int { return len(b.block.size) }

// Batch returns the entries appended since the last call, and empties the builder.
func (b *Builder) Batch() Batch {
	full := b.block
	b.block = newBlock()
	return Batch{block: full, n: len(full.size)}
}
