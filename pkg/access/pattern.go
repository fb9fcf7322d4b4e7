package access

import (
	"strings"
	"unicode/utf8"
)

// pattern matches whole texts: '*' stands for any characters, also '/', and '?' for exactly
// one. Any other character stands for itself. Patterns are those of lakeFS.
type pattern string

// matches reports whether the pattern matches a text.
func (p pattern) matches(text string) bool {
	rest := string(p)
	// After a '*', what follows it is tried at every later character of the text. A shorter
	// match of what precedes the last '*' leaves no less of the text, so that only the last
	// '*' is tried again.
	var behind, from string
	star := false
	for text != "" {
		if strings.HasPrefix(rest, "*") {
			rest, star = rest[1:], true
			behind, from = rest, text
			continue
		}
		if n := step(rest, text); n > 0 {
			rest, text = rest[1:], text[n:]
			continue
		}
		if !star {
			return false
		}
		_, n := utf8.DecodeRuneInString(from)
		from = from[n:]
		rest, text = behind, from
	}
	return strings.Trim(rest, "*") == ""
}

// covers reports whether the pattern matches every text that starts with the prefix.
//
// After the last character that stands for itself there must be a '*'; else there are texts
// that do not end as the pattern does. The order of wildcards means nothing, so that this '*'
// may as well be the last. Then the pattern also matches what follows a text that it matches.
func (p pattern) covers(prefix string) bool {
	wildcards := p[len(strings.TrimRight(string(p), "*?")):]
	return strings.Contains(string(wildcards), "*") && p.matches(prefix)
}

// meets reports whether the pattern matches any text that starts with the prefix. It does if
// the prefix can be read to its end, or to the first '*'.
func (p pattern) meets(prefix string) bool {
	rest := string(p)
	for prefix != "" {
		if strings.HasPrefix(rest, "*") {
			return true
		}
		n := step(rest, prefix)
		if n == 0 {
			return false
		}
		rest, prefix = rest[1:], prefix[n:]
	}
	return true
}

// andBelow returns a pattern that, if this one ends in '/', also matches all that follows.
func (p pattern) andBelow() pattern {
	if strings.HasSuffix(string(p), "/") {
		return p + "*"
	}
	return p
}

// step returns how many bytes of a text the first byte of a pattern matches, which is no '*'. It
// is 0 if it does not match.
func step(pattern, text string) int {
	switch {
	case pattern == "":
		return 0
	case pattern[0] == '?':
		_, n := utf8.DecodeRuneInString(text)
		return n
	case pattern[0] == text[0]:
		return 1
	}
	return 0
}
