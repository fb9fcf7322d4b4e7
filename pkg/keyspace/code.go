package keyspace

import (
	"slices"
	"unicode/utf8"
)

// Code numbers the characters beyond ASCII that keys were seen to use: in code each becomes a
// character of two bytes, in the same order. In UTF-8 they take two to four bytes and leave
// most of the space between them empty, so that distances are meaningless: 10M keys of cjk
// took 1.547 of the LISTs without a code, and take 1.044. The zero Code has seen no
// character. It is for one goroutine.
type Code struct {
	chars []rune // sorted
}

// Number i is written as the character firstCode+i.
const firstCode, maxCodes = 0x80, 0x800 - 0x80

// Add learns the characters of a key. Once all characters of two bytes are used up, new ones
// share the numbers of their predecessors.
func (c *Code) Add(k string) {
	for i := range len(k) {
		if k[i] < utf8.RuneSelf || !utf8.RuneStart(k[i]) || len(c.chars) == maxCodes {
			continue
		}
		r, n := utf8.DecodeRuneInString(k[i:])
		if r == utf8.RuneError && n < 2 {
			continue
		}
		if at, seen := slices.BinarySearch(c.chars, r); !seen {
			c.chars = slices.Insert(c.chars, at, r)
		}
	}
}

// Encode returns a key in code. A character that was never seen gets the number of the next
// one that was, and invalid UTF-8 stays as it is.
func (c *Code) Encode(k string) string {
	if len(c.chars) == 0 {
		return k
	}
	var b []byte
	for i := 0; i < len(k); {
		r, n := rune(k[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(k[i:])
		}
		if n > 1 {
			if b == nil {
				b = append(make([]byte, 0, len(k)), k[:i]...)
			}
			at, _ := slices.BinarySearch(c.chars, r)
			b = utf8.AppendRune(b, firstCode+rune(min(at, maxCodes-1)))
		} else if b != nil {
			b = append(b, k[i])
		}
		i += n
	}
	if b == nil {
		return k
	}
	return string(b)
}

// Decode is the inverse of Encode. It ends at the first number that was not given.
func (c *Code) Decode(k string) string {
	if len(c.chars) == 0 {
		return k
	}
	b := make([]byte, 0, 2*len(k))
	for _, r := range k {
		switch at := int(r) - firstCode; {
		case at < 0:
			b = append(b, byte(r))
		case at < len(c.chars):
			b = utf8.AppendRune(b, c.chars[at])
		default:
			return string(b)
		}
	}
	return string(b)
}

// Widen adds all numbers to the alphabet of encoded keys wherever it has one.
func (c *Code) Widen(a *Alphabet) {
	if len(c.chars) == 0 {
		return
	}
	all := span(firstLead, firstLead+byte((len(c.chars)-1)/64))
	for i := range a.sets {
		leads := a.sets[i]
		if leads.intersect(&leadBytes); leads.size() > 0 {
			a.sets[i].intersect(&otherBytes)
			a.sets[i].union(all)
		}
	}
	a.weigh()
}

const firstLead = 0xC2 // of the characters of two bytes

var (
	otherBytes = span(0, firstLead-1)
	leadBytes  = span(firstLead, 0xFF)
)
