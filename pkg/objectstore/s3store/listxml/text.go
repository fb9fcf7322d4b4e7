package listxml

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// The kinds of bytes that need attention in a text of XML.
const (
	control   = 1 << iota // forbidden, or replaced by another byte
	ampersand             // starts a reference
	bracket               // may end a CDATA section that has no start
	wide                  // part of a rune of several bytes
)

// kinds is the kind of each byte, 0 for the others.
var kinds = func() (k [256]byte) {
	for c := range k {
		switch {
		case c < ' ':
			k[c] = control
		case c >= utf8.RuneSelf:
			k[c] = wide
		}
	}
	k['&'], k['>'] = ampersand, bracket
	return k
}()

// letters are the bytes in the names of elements of a page.
var letters = func() (l [256]bool) {
	for c := range 26 {
		l['a'+c], l['A'+c] = true, true
	}
	return l
}()

// kindsOf returns all kinds of bytes in a text.
func kindsOf(text []byte) (k byte) {
	for ; len(text) >= 8; text = text[8:] {
		if ordinary(binary.LittleEndian.Uint64(text)) {
			continue
		}
		for _, c := range text[:8] {
			k |= kinds[c]
		}
	}
	for _, c := range text {
		k |= kinds[c]
	}
	return k
}

// ordinary reports whether none of eight bytes is of any kind. It tests all of them at
// once: subtracting 1 from each byte of a word sets the top bit of the first byte that
// is 0, and of no byte before it.
func ordinary(word uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	amp, gt := word^ones*'&', word^ones*'>'
	return (word|(word-ones*' ')|(amp-ones)&^amp|(gt-ones)&^gt)&tops == 0
}

// plain reports whether a text is ASCII without markup and references.
func plain(text []byte) bool { return kindsOf(text) == 0 && bytes.IndexByte(text, '<') < 0 }

// valid reports whether XML allows the text, and records references and wide runes in it.
// It is false for text with line ends, some of which encoding/xml replaces.
func (s *scanner) valid(text []byte) bool {
	k := kindsOf(text)
	if k == 0 {
		return true
	}
	if k&control != 0 || k&bracket != 0 && bytes.Contains(text, []byte("]]>")) {
		return false
	}
	if k&wide != 0 {
		s.wide = true
		for i := 0; i < len(text); {
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 || !allowed(r) {
				return false
			}
			i += n
		}
	}
	if k&ampersand != 0 {
		s.references = true
		return referencesAllowed(text)
	}
	return true
}

// allowed reports whether r is a Char of XML 1.0.
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		' ' <= r && r <= 0xd7ff || 0xe000 <= r && r <= 0xfffd || 0x10000 <= r && r <= utf8.MaxRune
}

func referencesAllowed(text []byte) bool {
	for {
		at := bytes.IndexByte(text, '&')
		if at < 0 {
			return true
		}
		_, n := reference(text[at:])
		if n == 0 {
			return false
		}
		text = text[at+n:]
	}
}

// maxReference is the length of the longest known reference: "&#x10ffff;".
const maxReference = 10

// reference returns the rune of the reference at the start of text, and the length of the
// reference, which is 0 if it is unknown.
func reference(text []byte) (r rune, n int) {
	end := bytes.IndexByte(text[:min(len(text), maxReference)], ';')
	if end < 0 {
		return 0, 0
	}
	switch name := string(text[1:end]); name {
	case "amp":
		r = '&'
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	default:
		if r = numbered(name); !allowed(r) {
			return 0, 0
		}
	}
	return r, end + 1
}

// numbered returns the rune of a reference such as "#38" or "#x26", or 0.
func numbered(name string) rune {
	if len(name) < 2 || name[0] != '#' {
		return 0
	}
	name, base := name[1:], 10
	if name[0] == 'x' {
		name, base = name[1:], 16
	}
	r, err := strconv.ParseUint(name, base, 31)
	if err != nil {
		return 0
	}
	return rune(r)
}

// resolve replaces, in place, all references in a text. It has no unknown ones. A
// reference is never shorter than its rune.
func resolve(text []byte) []byte {
	at := bytes.IndexByte(text, '&')
	if at < 0 {
		return text
	}
	out := text[:at]
	for at < len(text) {
		if text[at] != '&' {
			out = append(out, text[at])
			at++
			continue
		}
		r, n := reference(text[at:])
		out = utf8.AppendRune(out, r)
		at += n
	}
	return out
}

// trimQuotes returns a text without the quotes around it, in all encodings that stores are
// known to use.
func trimQuotes(text []byte) []byte {
	const byName, byNumber = "&quot;", "&#34;"
	for {
		n := len(text)
		switch {
		case n >= len(byName) && string(text[:len(byName)]) == byName:
			text = text[len(byName):]
		case n >= len(byName) && string(text[n-len(byName):]) == byName:
			text = text[:n-len(byName)]
		case n >= len(byNumber) && string(text[:len(byNumber)]) == byNumber:
			text = text[len(byNumber):]
		case n >= len(byNumber) && string(text[n-len(byNumber):]) == byNumber:
			text = text[:n-len(byNumber)]
		case n > 0 && text[0] == '"':
			text = text[1:]
		case n > 0 && text[n-1] == '"':
			text = text[:n-1]
		default:
			return text
		}
	}
}
