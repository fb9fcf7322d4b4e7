package listxml

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Readings is a set of ways to decode the texts of keys. Stores differ in how they
// encode keys, and some encode them differently than they say.
type Readings byte

// The ways to decode a text.
const (
	Literal    Readings = 1 << iota // the text is the key
	Escaped                         // %XX is a byte
	Query                           // %XX is a byte and + is a space; this is how AWS encodes keys
	AnyReading = Literal | Escaped | Query
)

// one reports whether r is a single reading.
func (r Readings) one() bool { return r == Literal || r == Escaped || r == Query }

// Agree reports whether all readings of the set decode the page to the same keys.
func (p *Page) Agree(set Readings) bool {
	if set.one() {
		return true
	}
	for i := range p.Objects {
		if set.differ(p.Objects[i].Key) {
			return false
		}
	}
	return true
}

// differ reports whether readings of the set decode a text to different keys. It is
// called for each key of a page.
func (r Readings) differ(text []byte) bool {
	return r&Query != 0 && r != Query && bytes.IndexByte(text, '+') >= 0 ||
		r&Literal != 0 && r != Literal && bytes.IndexByte(text, '%') >= 0
}

// Feasible returns the readings by which all keys of the page are well-formed and begin
// with the requested prefix. A page without escapes that has bytes which every query
// encoder escapes was not encoded: Feasible excludes Query.
func (p *Page) Feasible(prefix string) Readings {
	set := AnyReading
	var in marks
	for i := range p.Objects {
		text := p.Objects[i].Key
		in.add(text)
		for _, r := range []Readings{Literal, Escaped, Query} {
			if _, ok := cut(text, r, prefix); !ok {
				set &^= r
			}
		}
	}
	switch {
	case in.broken:
		set &= Literal
	case in.bare && !in.escapes:
		set &^= Query
	}
	return set
}

// Doubtful returns the n-th text of the page, from 0, that the readings of the set decode
// to different keys; ok is false if there is none.
func (p *Page) Doubtful(set Readings, n int) (text []byte, ok bool) {
	for i := range p.Objects {
		if !set.differ(p.Objects[i].Key) {
			continue
		}
		if n--; n < 0 {
			return p.Objects[i].Key, true
		}
	}
	return nil, false
}

// Read decodes the keys of the page, in place. An error is objectstore.ErrBadListing and
// names the text.
func (p *Page) Read(r Readings) error {
	if r == Literal {
		return nil
	}
	var all byte // the bits of all bytes that were encoded
	for i := range p.Objects {
		bits, err := unescape(&p.Objects[i].Key, r)
		if err != nil {
			return err
		}
		all |= bits
	}
	p.ASCII = p.ASCII && all < utf8.RuneSelf
	return nil
}

// ReadText decodes a text by a reading; ok is false if the text is malformed.
func ReadText(text []byte, r Readings) (key string, ok bool) {
	if r == Literal {
		return string(text), true
	}
	copied := bytes.Clone(text)
	if _, err := unescape(&copied, r); err != nil {
		return "", false
	}
	return string(copied), true
}

// Reads reports whether a reading decodes a text to the key.
func Reads(text []byte, r Readings, key string) bool {
	rest, ok := cut(text, r, key)
	return ok && len(rest) == 0
}

// marks are the signs in texts of how they were encoded.
type marks struct {
	escapes bool // %XX
	broken  bool // a % that begins no escape
	bare    bool // a byte that every query encoder escapes
}

func (m *marks) add(text []byte) {
	for i, c := range text {
		switch {
		case c == '+': // a space or itself
		case c != '%':
			m.bare = m.bare || !unescaped[c]
		case isEscape(text[i:]):
			m.escapes = true
		default:
			m.broken = true
		}
	}
}

// unescaped are the bytes that some query encoder does not escape: letters, digits, and a
// few others. Ceph's encoder escapes none of these few, AWS's most of them.
var unescaped = func() (l [256]bool) {
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*/~!'()|$" {
		l[c] = true
	}
	return l
}()

// cut returns what follows the prefix in a text; ok is false if the decoded key does not
// begin with the prefix. It makes no copy.
func cut(text []byte, r Readings, prefix string) (rest []byte, ok bool) {
	for i := range len(prefix) {
		if len(text) == 0 {
			return nil, false
		}
		c, n := text[0], 1
		switch {
		case c == '%' && r != Literal:
			if !isEscape(text) {
				return nil, false
			}
			c, n = digits[text[1]]<<4|digits[text[2]], 3
		case c == '+' && r == Query:
			c = ' '
		}
		if c != prefix[i] {
			return nil, false
		}
		text = text[n:]
	}
	return text, true
}

func isEscape(text []byte) bool {
	return len(text) > 2 && text[0] == '%' && digits[text[1]]|digits[text[2]] <= 15
}

// unescape decodes a text in place, and returns the bitwise or of all bytes that were
// escaped. An error shows the part that was decoded, and the rest of the text.
func unescape(key *[]byte, r Readings) (all byte, err error) {
	text := *key
	if r == Query {
		for i := bytes.IndexByte(text, '+'); i >= 0 && i < len(text); i++ {
			if text[i] == '+' {
				text[i] = ' '
			}
		}
	}
	to := bytes.IndexByte(text, '%')
	if to < 0 {
		return 0, nil
	}
	for from := to; from < len(text); {
		if text[from] != '%' {
			n := bytes.IndexByte(text[from:], '%')
			if n < 0 {
				n = len(text) - from
			}
			copy(text[to:], text[from:from+n])
			to, from = to+n, from+n
			continue
		}
		if from+2 >= len(text) || digits[text[from+1]]|digits[text[from+2]] > 15 {
			return 0, fmt.Errorf("key %q is not URL-encoded as the store says: %w", string(text[:to])+string(text[from:]), objectstore.ErrBadListing)
		}
		text[to] = digits[text[from+1]]<<4 | digits[text[from+2]]
		all |= text[to]
		to, from = to+1, from+3
	}
	*key = text[:to]
	return all, nil
}

// digits is the value of each hexadecimal digit, and more than 15 for other bytes.
var digits = func() (d [256]byte) {
	for c := range d {
		d[c] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		d[c], d[unicode.ToUpper(c)] = byte(i), byte(i)
	}
	return d
}()
