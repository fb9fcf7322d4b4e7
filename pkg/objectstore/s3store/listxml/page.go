// Package listxml decodes the XML of ListObjectsV2 responses: a page of keys, in one
// pass over its bytes and without an allocation for each key.
//
// There are two decoders. A scanner decodes what nearly all stores send: plain elements
// that hold text or other elements. Any other form (CDATA, comments, attributes, prefixed
// names, broken XML) goes to encoding/xml, which is forty times slower and handles
// everything. Where both can decode a page they agree, with one exception: the scanner
// does not check the text of elements that are not needed here. Stores repeat the
// request's parameters in such elements, and some do not encode characters that XML
// forbids.
package listxml

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Page is the content of one response. The zero value is ready to be decoded into, and
// may be used for one response after another. It is for one goroutine.
type Page struct {
	// Objects are in the order of the response. Decode resolves references in their
	// keys, and Read decodes the keys' URL encoding. Neither checks order or UTF-8. The
	// keys and ETags point into the body that was decoded.
	Objects   []objectstore.Listed
	Bare      []int  // indexes of the objects without a size or time, which are 0
	Truncated bool   // more keys follow, says IsTruncated
	Unsaid    bool   // there is no IsTruncated: Truncated says whether there is a token
	Next      []byte // the continuation token, if there is one; it points into the body, too
	Encoded   bool   // the keys are URL-encoded, says EncodingType
	ASCII     bool   // all keys are known to be ASCII
	Said      Said
}

// Said is what a page says about itself and repeats of its request. A field that the
// store omits is empty. Texts may be URL-encoded, and may hold what XML forbids.
type Said struct {
	Bucket, Prefix, StartAfter, Delimiter []byte

	RolledUp []byte // the first common prefix, whose keys are not listed
	KeyCount int    // -1 if there is none
}

// Error is an <Error> that the store sent instead of a page.
type Error struct{ Code, Message string }

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Decode decodes the page in body into p. It decodes in place: body changes, and p
// points into it until the next Decode.
//
// An error is *Error; objectstore.ErrBadKey for an object that cannot be imported, which
// it names; one of encoding/xml for a page that is incomplete or not XML; or another one
// for XML that is not a page.
func (p *Page) Decode(body []byte) error {
	if !p.scan(body) {
		if err := p.unmarshal(body); err != nil {
			return err
		}
	}
	if !p.Unsaid {
		return nil
	}
	// An empty response must not be taken for an empty bucket.
	p.Truncated = len(p.Next) > 0
	if !p.Truncated && len(p.Objects) == 0 && p.Said.KeyCount != 0 {
		return errors.New("the answer is no listing: it has no IsTruncated and no keys")
	}
	return nil
}

// reset empties the page; it keeps the memory for Objects.
func (p *Page) reset() {
	*p = Page{Objects: p.Objects[:0], Bare: p.Bare[:0], Said: Said{KeyCount: -1}}
}

// note stores the value of an element without attributes; content is what lies between its
// tags.
func (s *Said) note(name string, content []byte) {
	switch name {
	case "Name":
		s.Bucket = resolved(content)
	case "Prefix":
		s.Prefix = resolved(content)
	case "StartAfter":
		s.StartAfter = resolved(content)
	case "Delimiter":
		s.Delimiter = resolved(content)
	case "KeyCount":
		s.count(content)
	case "CommonPrefixes":
		if len(s.RolledUp) == 0 {
			_, rest, _ := bytes.Cut(content, []byte("<Prefix>"))
			prefix, _, _ := bytes.Cut(rest, []byte("</Prefix>"))
			s.RolledUp = resolved(prefix)
		}
	}
}

// count stores the number of keys, or -1 if text is not a number.
func (s *Said) count(text []byte) {
	s.KeyCount = -1
	if n, err := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil && n >= 0 {
		s.KeyCount = n
	}
}

// resolved returns a text with its references resolved, or unchanged if it has unknown
// ones. It does not change its argument.
func resolved(text []byte) []byte {
	if bytes.IndexByte(text, '&') < 0 || !referencesAllowed(text) {
		return text
	}
	return resolve(bytes.Clone(text))
}
