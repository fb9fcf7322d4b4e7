package listxml

import (
	"bytes"
	"strconv"
)

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
