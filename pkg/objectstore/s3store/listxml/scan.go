package listxml

import (
	"bytes"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// scanner scans XML of the usual form. Each method moves past what its name says, or
// returns false: then the page has another form, and encoding/xml must decode it. So the
// scanner does not change the bytes.
type scanner struct {
	b          []byte
	at         int              // of the next byte in b
	references bool             // keys or ETags have references
	wide       bool             // keys or ETags have runes of several bytes
	steps      [fields + 1]step // by the field that they start from
}

// step is the markup that last led from the end of one needed text of an object to the
// start of another. The markup of consecutive objects is mostly the same: where the same
// bytes follow again, they need not be scanned.
type step struct {
	markup []byte
	to     field
}

// field is a needed part of an object.
type field byte

const (
	border field = iota // the start or the end of the object
	keyField
	timeField
	etagField
	sizeField
	fields = iota - 1
)

var fieldNames = [...]string{keyField: "Key", timeField: "LastModified", etagField: "ETag", sizeField: "Size"}

// maxDepth of elements within an element that is not needed.
const maxDepth = 8

// scan decodes a page of the usual form.
func (p *Page) scan(body []byte) bool {
	p.reset()
	s := scanner{b: body}
	if !s.declaration() || !s.root() {
		return false
	}
	known := false // there is an IsTruncated
	for !s.take("</ListBucketResult>") {
		var ok bool
		switch {
		case s.take("<Contents>"):
			p.Objects = append(p.Objects, objectstore.Listed{})
			ok = s.object(p, &p.Objects[len(p.Objects)-1])
		case s.take("<IsTruncated>"):
			p.Truncated = s.take("true")
			ok = (p.Truncated || s.take("false")) && s.take("</IsTruncated>")
			known = true
		case s.take("<NextContinuationToken>"):
			p.Next, ok = s.token()
		case s.take("<EncodingType>"):
			p.Encoded = s.take("url")
			ok = p.Encoded && s.take("</EncodingType>")
		default:
			ok = s.other(&p.Said)
		}
		if !ok {
			return false
		}
		s.space()
	}
	s.space()
	if s.at < len(s.b) {
		return false
	}
	p.Unsaid = !known
	if s.references {
		p.resolve()
	}
	p.ASCII = !s.references && !s.wide
	return true
}

// token scans the rest of the element of a continuation token.
func (s *scanner) token() (token []byte, ok bool) {
	n := bytes.IndexByte(s.b[s.at:], '<')
	if n < 0 || !s.valid(s.b[s.at:s.at+n]) {
		return nil, false
	}
	token = s.b[s.at : s.at+n]
	s.at += n
	return token, s.end("NextContinuationToken")
}

// resolve resolves the references in keys and ETags, in place.
func (p *Page) resolve() {
	for i := range p.Objects {
		o := &p.Objects[i]
		o.Key, o.ETag = resolve(o.Key), bytes.Trim(resolve(o.ETag), `"`)
	}
	p.Next = resolve(p.Next)
}

// object scans an object, the last one of p, after its start tag.
func (s *scanner) object(p *Page, o *objectstore.Listed) bool {
	const all = 1<<timeField | 1<<sizeField
	for at, found := border, 0; ; {
		to, ok := s.step(at)
		if !ok {
			return false
		}
		if to == border {
			if found&all != all {
				o.Size, o.ModTime = 0, 0
				p.Bare = append(p.Bare, len(p.Objects)-1)
			}
			return true
		}
		var n int
		switch rest := s.b[s.at:]; to {
		case timeField:
			o.ModTime, n = parseTime(rest)
		case sizeField:
			o.Size, n = parseSize(rest)
		default:
			n = s.text(o, to, rest)
		}
		if n < 0 || n == 0 && to != etagField { // an empty key is for encoding/xml, too
			return false
		}
		s.at += n
		found |= 1 << to
		at = to
	}
}

// text scans the text of a key or an ETag at the start of rest, and returns its length, or
// -1 if it has another form.
func (s *scanner) text(o *objectstore.Listed, to field, rest []byte) int {
	n := bytes.IndexByte(rest, '<')
	if n < 0 {
		return -1
	}
	text := rest[:n]
	if to == keyField {
		o.Key = text
	} else {
		text = trimQuotes(text)
		o.ETag = text
	}
	if !s.valid(text) {
		return -1
	}
	return n
}

// step goes from the end of one needed text of an object to the start of the next one, or
// to the end of the object.
func (s *scanner) step(from field) (field, bool) {
	known := &s.steps[from]
	if n := len(known.markup); n > 0 && len(s.b)-s.at >= n && string(s.b[s.at:s.at+n]) == string(known.markup) {
		s.at += n
		return known.to, true
	}
	start := s.at
	to, ok := s.walk(from)
	*known = step{markup: s.b[start:s.at], to: to}
	return to, ok
}

// walk is step, one element after another.
func (s *scanner) walk(from field) (field, bool) {
	if from != border && !s.end(fieldNames[from]) {
		return border, false
	}
	for {
		s.space()
		if s.take("</Contents>") {
			return border, true
		}
		name, empty, ok := s.start()
		if !ok {
			return border, false
		}
		for f := keyField; f <= fields; f++ {
			if string(name) == fieldNames[f] {
				return f, !empty
			}
		}
		if !empty && !s.skip(name, 0) {
			return border, false
		}
	}
}

// declaration scans an XML declaration of the usual form, if there is one.
func (s *scanner) declaration() bool {
	if s.take("<?xml ") {
		n := bytes.IndexByte(s.b[s.at:], '>')
		if n < 0 {
			return false
		}
		switch d := strings.ReplaceAll(string(s.b[s.at:s.at+n]), "'", `"`); strings.ToLower(d) {
		case `version="1.0" encoding="utf-8"?`, `version="1.0" encoding="utf-8" standalone="yes"?`, `version="1.0"?`:
			s.at += n + 1
		default:
			return false
		}
	}
	s.space()
	return true
}

// root scans the start tag of the page, which may name a namespace.
func (s *scanner) root() bool {
	if !s.take("<ListBucketResult") {
		return false
	}
	if s.take(` xmlns="`) {
		n := bytes.IndexByte(s.b[s.at:], '"')
		if n < 0 || !plain(s.b[s.at:s.at+n]) {
			return false
		}
		s.at += n + 1
	}
	if !s.take(">") {
		return false
	}
	s.space()
	return true
}

// other scans an element of the page that decoding does not need, and stores it in said.
func (s *scanner) other(said *Said) bool {
	name, empty, ok := s.start()
	if !ok || empty {
		// An empty element that is needed is for encoding/xml.
		return ok && !neededElements[string(name)]
	}
	begin := s.at
	if !s.skip(name, 0) {
		return false
	}
	said.note(string(name), s.b[begin:s.at-len(name)-len("</>")])
	return true
}

// neededElements are the elements of a page that decoding needs.
var neededElements = map[string]bool{"Contents": true, "IsTruncated": true, "EncodingType": true, "NextContinuationToken": true}

// skip scans the rest of an element that is not needed, whatever its text.
func (s *scanner) skip(name []byte, depth int) bool {
	for children := false; ; children = true {
		n := bytes.IndexByte(s.b[s.at:], '<')
		if n < 0 || depth > maxDepth {
			return false
		}
		text := s.b[s.at : s.at+n]
		s.at += n
		end := s.at+1 < len(s.b) && s.b[s.at+1] == '/'
		if (children || !end) && len(bytes.TrimLeft(text, " \t\r\n")) > 0 {
			return false
		}
		if end {
			return s.end(string(name))
		}
		child, empty, ok := s.start()
		if !ok || !empty && !s.skip(child, depth+1) {
			return false
		}
	}
}

// start scans a start tag without attributes; empty says that it ends the element, too.
func (s *scanner) start() (name []byte, empty, ok bool) {
	if s.at >= len(s.b) || s.b[s.at] != '<' {
		return nil, false, false
	}
	rest := s.b[s.at+1:]
	n := 0
	for n < len(rest) && letters[rest[n]] {
		n++
	}
	switch name = rest[:n]; {
	case n == 0 || n+1 >= len(rest):
		return nil, false, false
	case rest[n] == '>':
		s.at += n + 2
		return name, false, true
	case rest[n] == '/' && rest[n+1] == '>':
		s.at += n + 3
		return name, true, true
	}
	return nil, false, false
}

// end scans the end tag of an element.
func (s *scanner) end(name string) bool { return s.take("</") && s.take(name) && s.take(">") }

// take scans exactly what.
func (s *scanner) take(what string) bool {
	if len(s.b)-s.at < len(what) || string(s.b[s.at:s.at+len(what)]) != what {
		return false
	}
	s.at += len(what)
	return true
}

// space scans white space, if there is any.
func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}
