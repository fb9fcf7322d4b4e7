package table

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rangefleet/rangefleet/internal/sha256x2"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Field numbers of the message Entry, the data of a range's record.
const (
	entryAddress      = 1 // string
	entryLastModified = 2 // Timestamp
	entrySize         = 3 // int64
	entryETag         = 4 // string
	entryAddressType  = 6 // enum
)

// Types of addresses. Between them is that of addresses that are relative to a storage
// namespace.
const (
	addressByPrefix = 0 // of early versions of lakeFS: a whole URI if it has a scheme, else relative
	addressFull     = 2 // a whole URI
)

// Field numbers of the message Timestamp.
const (
	timestampSeconds = 1 // int64
	timestampNanos   = 2 // int32
)

// Field numbers of the message RangeData, the data of a metarange's record.
const (
	rangeMinKey        = 1 // bytes
	rangeMaxKey        = 2 // bytes
	rangeEstimatedSize = 3 // uint64
	rangeCount         = 4 // int64
)

// Identity is the hash of the size and the ETag of an object. It tells the versions of a
// key apart.
type Identity [sha256.Size]byte

// Identities appends the identities of all entries of b to dst. It computes two at a
// time, which takes less than half of the time.
func Identities(dst []Identity, b entry.Batch) []Identity {
	var items, other [128]byte // longer ones are moved to the heap
	for i := 0; i < b.Len(); i += 2 {
		first := appendIdentityItems(items[:0], b, i)
		if i+1 == b.Len() {
			return append(dst, sha256.Sum256(first))
		}
		x, y := sha256x2.Sums(first, appendIdentityItems(other[:0], b, i+1))
		dst = append(dst, x, y)
	}
	return dst
}

// appendIdentityItems appends the bytes that the identity of entry i is the hash of. They
// end with an empty map of metadata.
func appendIdentityItems(dst []byte, b entry.Batch, i int) []byte {
	return ident.AppendStringMap(ident.AppendString(ident.AppendInt64(dst, b.Size(i)), b.ETag(i)), nil)
}

// AppendEntryValue appends to dst the record value of entry i of b: an imported
// object of that identity with its full address, without metadata or content
// type. It allocates only to grow dst.
func AppendEntryValue(dst []byte, b entry.Batch, i int, identity Identity) []byte {
	v := newEntryValue(b, i)
	return v.append(dst, identity)
}

// entryValue is the record value of an entry, to be encoded.
type entryValue struct {
	address, etag []byte
	size          int64
	seconds       int64 // since the epoch
	nanos         int64 // after these
	timestamp     int   // length of the message Timestamp
	data          int   // length of the message Entry
}

func newEntryValue(b entry.Batch, i int) entryValue {
	v := entryValue{address: b.Address(i), etag: b.ETag(i), size: b.Size(i)}
	v.seconds, v.nanos = b.ModTime(i)/1e9, b.ModTime(i)%1e9
	if v.nanos < 0 { // they count up from the second below, also before the epoch
		v.seconds, v.nanos = v.seconds-1, v.nanos+1e9
	}
	v.timestamp = sizeVarintField(uint64(v.seconds)) + sizeVarintField(uint64(v.nanos))
	v.data = sizeBytesField(len(v.address)) + 2 + v.timestamp + sizeVarintField(uint64(v.size)) +
		sizeBytesField(len(v.etag)) + sizeVarintField(addressFull)
	return v
}

// len returns how many bytes append appends.
func (v *entryValue) len() int { return 1 + sha256.Size + uvarintLen(2*uint64(v.data)) + v.data }

// append appends the value, with the identity of the entry.
func (v *entryValue) append(dst []byte, identity Identity) []byte {
	dst = append(dst, 2*sha256.Size) // lengths are signed: doubled
	dst = append(dst, identity[:]...)
	dst = appendUvarint(dst, 2*uint64(v.data))
	dst = appendBytesField(dst, entryAddress, v.address)
	dst = append(dst, entryLastModified<<3|byte(protowire.BytesType), byte(v.timestamp)) // there even if it is empty: it is set, to the epoch
	dst = appendVarintField(dst, timestampSeconds, uint64(v.seconds))
	dst = appendVarintField(dst, timestampNanos, uint64(v.nanos))
	dst = appendVarintField(dst, entrySize, uint64(v.size))
	dst = appendBytesField(dst, entryETag, v.etag)
	return appendVarintField(dst, entryAddressType, addressFull)
}

// AppendRangeValue appends to dst the record value of r in a metarange; the
// record's key is r.MaxKey.
func AppendRangeValue(dst []byte, r partition.RangeMetadata) []byte {
	n := sizeBytesField(len(r.MinKey)) + sizeBytesField(len(r.MaxKey)) +
		sizeVarintField(r.EstimatedSize) + sizeVarintField(uint64(r.Count))
	dst = binary.AppendVarint(dst, int64(len(r.ID)))
	dst = append(dst, r.ID...)
	dst = binary.AppendVarint(dst, int64(n))
	dst = appendBytesField(dst, rangeMinKey, r.MinKey)
	dst = appendBytesField(dst, rangeMaxKey, r.MaxKey)
	dst = appendVarintField(dst, rangeEstimatedSize, r.EstimatedSize)
	return appendVarintField(dst, rangeCount, uint64(r.Count))
}

// AppendValue appends to dst a record value of any data, with an identity that tells versions
// of the key apart. Ranges that hold no entries have such values.
func AppendValue(dst, identity, data []byte) []byte {
	dst = append(binary.AppendVarint(dst, int64(len(identity))), identity...)
	return append(binary.AppendVarint(dst, int64(len(data))), data...)
}

// DecodeEntry returns the entry that a range's record holds. It skips object metadata
// and the content type, which only objects written through lakeFS have: code that moves
// records between tables moves their bytes. The addresses of such objects are relative to a
// storage namespace, and base precedes them in the entry. The error wraps ErrCorrupt for a
// value that cannot be decoded.
func DecodeEntry(key, value []byte, base string) (entry.Entry, error) {
	e := entry.Entry{Key: string(key), ModTime: time.Unix(0, 0).UTC()}
	var addressType uint64
	_, data, err := splitValue(value)
	if err == nil {
		err = eachField(data, func(f field) error {
			switch f.num {
			case entryAddress:
				return f.text(&e.Address)
			case entryLastModified:
				return f.timestamp(&e.ModTime)
			case entrySize:
				return f.int64(&e.Size)
			case entryETag:
				return f.text(&e.ETag)
			case entryAddressType:
				return f.varint(&addressType)
			}
			return nil
		})
	}
	if err == nil {
		e.Address, err = resolve(e.Address, addressType, base)
	}
	if err != nil {
		return entry.Entry{}, fmt.Errorf("decode entry %q: %w: %w", key, ErrCorrupt, err)
	}
	return e, nil
}

// resolve returns the URI of an address.
func resolve(address string, addressType uint64, base string) (string, error) {
	switch {
	case addressType > addressFull:
		return "", fmt.Errorf("unknown address type %d", addressType)
	case addressType == addressFull, addressType == addressByPrefix && strings.Contains(address, "://"):
		return address, nil
	}
	return base + address, nil
}

// IdentityOf returns the identity in a range's record value. An undecodable value wraps
// ErrCorrupt.
func IdentityOf(value []byte) ([]byte, error) {
	identity, _, err := splitValue(value)
	if err == nil && len(identity) == 0 {
		err = errors.New("identity: no bytes")
	}
	if err != nil {
		return nil, fmt.Errorf("decode entry: %w: %w", ErrCorrupt, err)
	}
	return identity, nil
}

// DecodeRange returns the range that a metarange's record value describes. An
// undecodable value wraps ErrCorrupt.
func DecodeRange(value []byte) (partition.RangeMetadata, error) {
	var r partition.RangeMetadata
	identity, data, err := splitValue(value)
	if err == nil {
		r.ID = string(identity)
		err = eachField(data, func(f field) error {
			switch f.num {
			case rangeMinKey:
				return f.text(&r.MinKey)
			case rangeMaxKey:
				return f.text(&r.MaxKey)
			case rangeEstimatedSize:
				return f.varint(&r.EstimatedSize)
			case rangeCount:
				return f.int64(&r.Count)
			}
			return nil
		})
	}
	if err != nil {
		return partition.RangeMetadata{}, fmt.Errorf("decode range: %w: %w", ErrCorrupt, err)
	}
	return r, nil
}

// splitValue returns the two parts of a record value. It ignores what follows them, as
// lakeFS does.
func splitValue(value []byte) (identity, data []byte, err error) {
	identity, rest, err := cutPart(value)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: %w", err)
	}
	data, _, err = cutPart(rest)
	if err != nil {
		return nil, nil, fmt.Errorf("data: %w", err)
	}
	return identity, data, nil
}

// cutPart cuts off one part, which follows its length as a signed varint.
func cutPart(b []byte) (part, rest []byte, err error) {
	n, w := binary.Varint(b)
	if w <= 0 {
		return nil, nil, errors.New("no length")
	}
	if b = b[w:]; n < 0 || n > int64(len(b)) {
		return nil, nil, fmt.Errorf("length %d of %d bytes", n, len(b))
	}
	return b[:n], b[n:], nil
}

// Fields with the value zero are omitted: IDs are hashes of proto3's canonical form. Field
// numbers are below 16, so that a tag is one byte.

func appendBytesField[S string | []byte](dst []byte, num protowire.Number, s S) []byte {
	if len(s) == 0 {
		return dst
	}
	dst = appendUvarint(append(dst, byte(num)<<3|byte(protowire.BytesType)), uint64(len(s)))
	return append(dst, s...)
}

// sizeBytesField returns how many bytes appendBytesField appends for one of n.
func sizeBytesField(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + uvarintLen(uint64(n)) + n
}

func appendVarintField(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return appendUvarint(append(dst, byte(num)<<3|byte(protowire.VarintType)), v)
}

// sizeVarintField returns how many bytes appendVarintField appends.
func sizeVarintField(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + uvarintLen(v)
}

// field is one field of a message.
type field struct {
	num protowire.Number
	typ protowire.Type
	raw []byte // the value, still encoded
}

// eachField calls f for each field of a message, in their order.
func eachField(msg []byte, f func(field) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return protowire.ParseError(n)
		}
		msg = msg[n:]
		n = protowire.ConsumeFieldValue(num, typ, msg)
		if n < 0 {
			return fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
		}
		if err := f(field{num, typ, msg[:n]}); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
		msg = msg[n:]
	}
	return nil
}

func (f field) bytes() ([]byte, error) {
	if f.typ != protowire.BytesType {
		return nil, fmt.Errorf("wire type %d, want %d", f.typ, protowire.BytesType)
	}
	b, _ := protowire.ConsumeBytes(f.raw)
	return b, nil
}

func (f field) text(to *string) error {
	b, err := f.bytes()
	*to = string(b)
	return err
}

func (f field) varint(to *uint64) error {
	if f.typ != protowire.VarintType {
		return fmt.Errorf("wire type %d, want %d", f.typ, protowire.VarintType)
	}
	*to, _ = protowire.ConsumeVarint(f.raw)
	return nil
}

func (f field) int64(to *int64) error {
	var v uint64
	err := f.varint(&v)
	*to = int64(v)
	return err
}

func (f field) timestamp(to *time.Time) error {
	msg, err := f.bytes()
	if err != nil {
		return err
	}
	var sec, nano int64
	err = eachField(msg, func(f field) error {
		switch f.num {
		case timestampSeconds:
			return f.int64(&sec)
		case timestampNanos:
			return f.int64(&nano)
		}
		return nil
	})
	*to = time.Unix(sec, nano).UTC()
	return err
}
