// Package listxml reads the XML of ListObjectsV2's answers: a page of keys, in
// one pass over the bytes that hold it, without an allocation for a key.
//
// A page is read in two ways. What every store sends, plain elements that hold
// text or other elements, is scanned by hand. Whatever is of another form
// (CDATA, comments, attributes, prefixed names, broken XML) goes to
// encoding/xml, which is forty times slower and knows it all. Where both can
// read a page they agree, with one exception: the scanner does not look at the
// text of elements that are not needed here. Stores echo what they were asked
// for in such elements, and some without encoding characters that XML forbids.
package listxml

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Page is what one answer says. The zero value is ready to be decoded into, and
// may be used for one answer after another. It is for one goroutine.
type Page struct {
	// Objects are in the order of the answer, keys as the store has them:
	// references and URL encoding are resolved. They are not checked for order
	// or UTF-8. They point into the body that was decoded.
	Objects   []objectstore.Listed
	Truncated bool   // the store says that there is more
	Next      []byte // the continuation token, if there is one; it points into the body too
	Encoded   bool   // the store wrote the keys URL-encoded, and said so
	ASCII     bool   // the keys are known to be ASCII, all of them
}

// Error is an <Error> that came in place of a page, as the store put it.
type Error struct{ Code, Message string }

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Decode makes p the page that body holds. It decodes in place: body changes,
// and p points into it until it is decoded into again.
//
// The errors are *Error; objectstore.ErrBadListing for an object that cannot be
// imported as it is listed, which they name; encoding/xml's own for a page that
// is not whole or not XML; and others for XML that is no page.
func (p *Page) Decode(body []byte) error {
	if !p.scan(body) {
		if err := p.unmarshal(body); err != nil {
			return err
		}
	}
	if !p.Encoded {
		return nil
	}
	var all byte // the bits of all bytes that were encoded
	for i := range p.Objects {
		bits, err := unescapeQuery(&p.Objects[i].Key)
		if err != nil {
			return err
		}
		all |= bits
	}
	p.ASCII = p.ASCII && all < utf8.RuneSelf
	return nil
}

// reset empties the page; it keeps the memory for Objects.
func (p *Page) reset() { *p = Page{Objects: p.Objects[:0]} }

// unescapeQuery decodes a key in place that was encoded as a URL query is, and
// returns the bits of all bytes that were encoded. An error names it as far as it
// was decoded, and the rest as it is.
func unescapeQuery(key *[]byte) (all byte, err error) {
	text := *key
	for i := bytes.IndexByte(text, '+'); i >= 0 && i < len(text); i++ {
		if text[i] == '+' {
			text[i] = ' '
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

// digits is the value of each hexadecimal digit; more than 15 is none.
var digits = func() (d [256]byte) {
	for c := range d {
		d[c] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		d[c], d[unicode.ToUpper(c)] = byte(i), byte(i)
	}
	return d
}()
