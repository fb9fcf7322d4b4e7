package listxml

import (
	"bytes"
	"strconv"
)

// note notes what an element of the usual form says; content is what lies between
// its tags.
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

// count notes the number of keys; what is no number says nothing.
func (s *Said) count(text []byte) {
	s.KeyCount = -1
	if n, err := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil && n >= 0 {
		s.KeyCount = n
	}
}

// resolved returns a text with its references resolved, or as it is if it has some
// that are not understood. It leaves its argument alone.
func resolved(text []byte) []byte {
	if bytes.IndexByte(text, '&') < 0 || !referencesAllowed(text) {
		return text
	}
	return resolve(bytes.Clone(text))
}
