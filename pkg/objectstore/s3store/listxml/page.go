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
	"errors"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Page is what one answer says. The zero value is ready to be decoded into, and
// may be used for one answer after another. It is for one goroutine.
type Page struct {
	// Objects are in the order of the answer. Their keys are texts until Read makes
	// them keys: references are resolved, URL encoding is not. They are not checked
	// for order or UTF-8. They point into the body that was decoded.
	Objects   []objectstore.Listed
	Bare      []int  // the indexes of those that came without their size or time, which are 0
	Truncated bool   // the store says that there is more
	Unsaid    bool   // it did not say so in words: Truncated tells whether there is a token
	Next      []byte // the continuation token, if there is one; it points into the body too
	Encoded   bool   // the store says that it wrote the keys URL-encoded
	ASCII     bool   // the keys are known to be ASCII, all of them
	Said      Said
}

// Said is what a page repeats of its request, and counts of itself. What a store
// left out is empty. Texts may be URL-encoded, and may hold what XML forbids.
type Said struct {
	Bucket, Prefix, StartAfter, Delimiter []byte

	RolledUp []byte // the first prefix that stands for keys which are not listed
	KeyCount int    // -1 if it is not told
}

// Error is an <Error> that came in place of a page, as the store put it.
type Error struct{ Code, Message string }

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Decode makes p the page that body holds. It decodes in place: body changes,
// and p points into it until it is decoded into again.
//
// The errors are *Error; objectstore.ErrBadKey for an object that cannot be
// imported as it is listed, which they name; encoding/xml's own for a page that
// is not whole or not XML; and others for XML that is no page.
func (p *Page) Decode(body []byte) error {
	if !p.scan(body) {
		if err := p.unmarshal(body); err != nil {
			return err
		}
	}
	if !p.Unsaid {
		return nil
	}
	// An empty answer must not pass for an empty bucket.
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
