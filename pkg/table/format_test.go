package table_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/generated"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// The dumps in docs/format.md are of what this package writes today. Every note
// is made by reading the bytes beside it.
func TestDocsAreCurrent(t *testing.T) {
	const name = "../../docs/format.md"
	batch := entrytest.Batch(
		entry.Entry{
			Key: "data/a.csv", Address: "s3://lake/raw/a.csv", ETag: "d41d8cd98f00b204e9800998ecf8427e",
			Size: 1234, ModTime: time.Date(2024, 5, 12, 10, 20, 30, 500e6, time.UTC),
		},
		entry.Entry{
			Key: "data/b.csv", Address: "s3://lake/raw/b.csv", ETag: "0cc175b9c0f1b6a831c399e269772661-2",
			ModTime: time.Date(2024, 5, 12, 10, 20, 31, 0, time.UTC),
		},
	)
	defer batch.Release()
	rng := rangeOf(t, batch)

	doc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := doc
	for section, dump := range map[string]string{
		"identity":  dumpIdentity(batch),
		"id":        dumpID(batch, rng),
		"range":     dumpFile(rng.Data),
		"metarange": dumpRangeValue(table.AppendRangeValue(nil, rng.Meta)),
	} {
		want = withSection(t, want, section, dump)
	}
	generated.File(t, name, string(want))
}

// rangeOf returns the range of a batch.
func rangeOf(t testing.TB, b entry.Batch) table.Table {
	t.Helper()
	var all []table.Record
	for i := range b.Len() {
		all = append(all, table.Record{Key: b.Key(i), Value: rangetest.Value(b.Entry(i))})
	}
	return tableOf(t, table.Ranges, all...)
}

// withSection returns doc with the dump between the marks of a section.
func withSection(t *testing.T, doc []byte, section, dump string) []byte {
	t.Helper()
	begin, end := "<!-- dump "+section+" -->\n", "<!-- end "+section+" -->\n"
	before, rest, ok := strings.Cut(string(doc), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("no marks of section %s", section)
	}
	return []byte(before + begin + "```text\n" + dump + "```\n" + end + after)
}

// dumper writes bytes in the order of a file, each with a note of what it is.
type dumper struct {
	out  strings.Builder
	rest []byte
	at   int
}

// title writes a line without bytes.
func (d *dumper) title(format string, args ...any) {
	if d.out.Len() > 0 {
		d.out.WriteByte('\n')
	}
	fmt.Fprintf(&d.out, format+"\n", args...)
}

// take writes the next n bytes and what they are.
func (d *dumper) take(n int, note string) []byte {
	const width = 12
	taken := d.rest[:n]
	for i := 0; i < n; i += width {
		row := fmt.Sprintf("%04x  % x", d.at+i, taken[i:min(i+width, n)])
		if i == 0 {
			row = fmt.Sprintf("%-43s%s", row, note)
		}
		d.out.WriteString(row + "\n")
	}
	d.rest, d.at = d.rest[n:], d.at+n
	return taken
}

// uvarint writes an unsigned varint; the note's %d is its value.
func (d *dumper) uvarint(note string) int {
	v, n := binary.Uvarint(d.rest)
	d.take(n, fmt.Sprintf(note, v))
	return int(v)
}

// varint writes a signed varint; the note's %d is its value.
func (d *dumper) varint(note string) int {
	v, n := binary.Varint(d.rest)
	d.take(n, fmt.Sprintf(note, v))
	return int(v)
}

// fixed writes a number of four bytes, little endian; the note's %d is its
// value.
func (d *dumper) fixed(note string) int {
	v := binary.LittleEndian.Uint32(d.rest)
	d.take(4, fmt.Sprintf(note, v))
	return int(v)
}

// text writes n bytes of text.
func (d *dumper) text(n int, what string) string {
	return string(d.take(n, fmt.Sprintf("%s%q", what, d.rest[:n])))
}

// footerLen is the length of the footer at the end of the file.
const footerLen = 53

// dumpFile dumps the file of a range that is so small that it has one data
// block, and that pays so little to compress that no block is.
func dumpFile(file []byte) string {
	footer := file[len(file)-footerLen+1:] // its two handles
	handle := func() (at, length int) {
		for _, to := range []*int{&at, &length} {
			v, n := binary.Uvarint(footer)
			*to, footer = int(v), footer[n:]
		}
		return at, length
	}
	metaAt, metaLen := handle()
	indexAt, indexLen := handle()

	d := &dumper{rest: file}
	d.title("data block: the records")
	d.block(indexAt-blockTrailer, 8, func(int) { d.entryValue() })
	d.title("index block: the data blocks")
	d.block(indexLen, 8, func(int) { d.handle("data block") })
	d.title("properties block")
	d.block(metaAt-blockTrailer-d.at, 0, d.property)
	d.title("metaindex block: the other blocks")
	d.block(metaLen, 0, func(int) { d.handle("properties block") })
	d.title("footer")
	d.take(1, "checksums are CRC-32C")
	d.handle("metaindex block")
	d.handle("index block")
	d.take(len(d.rest)-12, "padding")
	d.fixed("format version %d")
	d.take(8, "magic number of RocksDB's tables")
	return d.out.String()
}

// blockTrailer is the length of what follows each block.
const blockTrailer = 5

// block dumps a block of n bytes, and its trailer. Its keys end in a trailer of
// some bytes; value dumps a value of n bytes.
func (d *dumper) block(n, keyTrailer int, value func(n int)) {
	end := d.at + n
	restarts := int(binary.LittleEndian.Uint32(d.rest[n-4:]))
	key := ""
	for d.at < end-4*(restarts+1) {
		shared, n1 := binary.Uvarint(d.rest)
		added, n2 := binary.Uvarint(d.rest[n1:])
		length, n3 := binary.Uvarint(d.rest[n1+n2:])
		d.take(n1+n2+n3, fmt.Sprintf("key: %d bytes as before, %d more; value: %d bytes", shared, added, length))
		as := ""
		if shared > 0 {
			as = fmt.Sprintf("%q + ", key[:shared])
		}
		key = key[:shared] + d.text(int(added)-keyTrailer, as)
		if keyTrailer > 0 {
			d.keyTrailer()
		}
		value(int(length))
	}
	for range restarts {
		d.fixed("restart point: %d")
	}
	d.fixed("restart points: %d")
	d.take(1, fmt.Sprintf("block type %d: not compressed", d.rest[0]))
	d.take(4, "CRC-32C of the block and its type, masked")
}

func (d *dumper) keyTrailer() {
	if v := binary.LittleEndian.Uint64(d.rest); v == 1 {
		d.take(8, "kind 1, set; sequence number 0")
	} else {
		d.take(8, fmt.Sprintf("kind %d, separator; highest sequence number", v&0xff))
	}
}

func (d *dumper) handle(of string) {
	d.uvarint(of + " at %#x")
	d.uvarint("    of %d bytes")
}

func (d *dumper) property(n int) {
	text := n > 1 || '0' <= d.rest[0] && d.rest[0] <= '9'
	for _, b := range d.rest[:n] {
		text = text && ' ' <= b && b <= '~'
	}
	if text {
		d.text(n, "")
	} else {
		d.take(n, "a number")
	}
}

// entryValue dumps the value of a range's record.
func (d *dumper) entryValue() {
	d.take(d.varint("identity: %d bytes"), "SHA-256 of the entry's items")
	d.message(d.varint("data: %d bytes, an Entry"), map[int]string{
		1: "address", 2: "last_modified", 3: "size", 4: "e_tag", 6: "address_type",
	}, map[int]string{1: "seconds", 2: "nanos"})
}

// dumpRangeValue dumps the value of a metarange's record.
func dumpRangeValue(value []byte) string {
	d := &dumper{rest: value}
	d.text(d.varint("identity: %d bytes"), "")
	d.message(d.varint("data: %d bytes, a RangeData"), map[int]string{
		1: "min_key", 2: "max_key", 3: "estimated_size", 4: "count",
	}, nil)
	return d.out.String()
}

// message dumps a protobuf message of n bytes, whose fields of wire type 2 are
// text or, if the field's number is in nested too, messages of those fields.
func (d *dumper) message(n int, names, nested map[int]string) {
	for end := d.at + n; d.at < end; {
		tag := d.rest[0]
		num := int(tag >> 3)
		d.take(1, fmt.Sprintf("field %d %s, wire type %d", num, names[num], tag&7))
		switch {
		case tag&7 == 0:
			d.uvarint("    %d")
		case num == 2 && nested != nil:
			d.message(d.uvarint("    %d bytes, a Timestamp"), nested, nil)
		default:
			d.text(d.uvarint("    %d bytes"), "    ")
		}
	}
}

// dumpIdentity dumps the items that are hashed to the identity of the first
// entry of b.
func dumpIdentity(b entry.Batch) string {
	items := ident.AppendInt64(nil, b.Size(0))
	items = ident.AppendString(items, b.ETag(0))
	items = ident.AppendStringMap(items, nil)
	d := &dumper{rest: items}
	d.title("identity of %q", b.Key(0))
	d.int64Item("int64 item, size")
	d.stringItem("e_tag")
	d.take(1, "string map item, metadata")
	d.int64Item("    its length")
	sum := sha256.Sum256(items)
	if value := rangetest.Value(b.Entry(0)); !bytes.Equal(value[1:33], sum[:]) {
		return "the items are not those that the writer hashes"
	}
	fmt.Fprintf(&d.out, "SHA-256: %x\n", sum)
	return d.out.String()
}

func (d *dumper) int64Item(what string) int {
	v := binary.BigEndian.Uint64(d.rest[2:])
	d.take(10, fmt.Sprintf("%s: %d", what, v))
	return int(v)
}

func (d *dumper) stringItem(what string) {
	d.take(1, "string item, "+what)
	d.text(d.int64Item("    its length"), "    ")
}

// dumpID dumps what is hashed to the ID of the range of b.
func dumpID(b entry.Batch, rng table.Table) string {
	var in []byte
	for i := range b.Len() {
		value := rangetest.Value(b.Entry(i))
		in = fmt.Appendf(in, "%d%s|%d%s|", len(b.Key(i)), b.Key(i), len(value), value)
	}
	in = ident.AppendStringMap(in, map[string]string{"type": "ranges"})
	d := &dumper{rest: in}
	for i := range b.Len() {
		d.part("key", len(b.Key(i)))
		d.part("value", len(rangetest.Value(b.Entry(i))))
	}
	d.take(1, "string map item, properties")
	d.int64Item("    its length")
	d.stringItem("key")
	d.stringItem("value")
	sum := sha256.Sum256(in)
	if hex.EncodeToString(sum[:]) != rng.Meta.ID {
		return "the input is not what the writer hashes"
	}
	fmt.Fprintf(&d.out, "SHA-256, the ID: %x\n", sum)
	return d.out.String()
}

// part dumps a key or a value of n bytes as it goes into the hash of an ID.
func (d *dumper) part(what string, n int) {
	digits := len(strconv.Itoa(n))
	d.text(digits, what+", its length ")
	d.take(n, "    the "+what)
	d.take(1, "    end")
}
