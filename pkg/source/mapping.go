package source

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Mapping maps the keys of one path to destination keys, and keeps their order. It is
// immutable.
//
//	s3://b/a/pre to data:  base a/  prefix a/pre  root data/
//	                       a/pre1/x  becomes  data/pre1/x
type Mapping struct {
	uri    objectstore.URI
	host   string // before a key, makes it an address: the URI of the empty key
	object bool   // the path is one object, and root is its destination
	base   string // of a prefix: what is removed from its keys; empty or ending in '/'
	root   string // what replaces base; empty or ending in '/'
}

// NewMapping returns the mapping of a path. An invalid path is an error.
func NewMapping(p imports.Path) (Mapping, error) {
	uri, err := objectstore.ParseURI(p.URI)
	if err != nil {
		return Mapping{}, err
	}
	if !utf8.ValidString(p.Destination) || !utf8.ValidString(p.URI) {
		return Mapping{}, fmt.Errorf("path %q to %q is not valid UTF-8", p.URI, p.Destination)
	}
	m := Mapping{uri: uri, host: objectstore.URI{Scheme: uri.Scheme, Bucket: uri.Bucket}.String(), root: p.Destination}
	switch p.Type {
	case imports.Object:
		if uri.Key == "" || m.root == "" {
			return Mapping{}, fmt.Errorf("object path %q to %q names no object or no destination", p.URI, p.Destination)
		}
		m.object = true
	case imports.CommonPrefix:
		m.base = m.parent().Key
		if m.root != "" && !strings.HasSuffix(m.root, "/") {
			m.root += "/"
		}
	default:
		return Mapping{}, fmt.Errorf("path %q has the unknown type %q", p.URI, p.Type)
	}
	return m, nil
}

// Destination returns the destination key of an object. The key of the object must be that
// of the path, or start with it if the path is a prefix. The destination may be empty, which
// is no valid key.
func (m Mapping) Destination(key string) string {
	if m.object {
		return m.root
	}
	return m.root + key[len(m.base):]
}

// Source is the inverse of Destination for a prefix: ok is false if no object of the path has
// the destination.
func (m Mapping) Source(destination string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(destination, m.root)
	key = m.base + rest
	return key, ok && strings.HasPrefix(key, m.uri.Key)
}

// Root returns what all destinations of a prefix start with; empty or ending in '/'.
func (m Mapping) Root() string { return m.root }

// becomesEmpty reports whether the destination key of the object is empty: the object is the
// marker of the folder that the path names, and would become the root.
func (m Mapping) becomesEmpty(key []byte) bool {
	return !m.object && m.root == "" && len(key) == len(m.base)
}

// Address returns the physical address of an object, which is its URI.
func (m Mapping) Address(key string) string { return m.host + key }

// appendTo appends the entries of objects to b.
func (m Mapping) appendTo(b *entry.Builder, objects ...objectstore.Listed) error {
	b.Prepend(m.root, m.host)
	for i := range objects {
		o := &objects[i]
		rest := o.Key[len(o.Key):] // the root of a single object is all of its key
		if !m.object {
			rest = o.Key[len(m.base):]
		}
		if n := len(m.root) + len(rest); n > limits.Key {
			return fmt.Errorf("the key of %s takes %d bytes at its destination, at most %d are allowed: a shorter destination may do: %w",
				m.Address(string(o.Key)), n, limits.Key, objectstore.ErrBadKey)
		}
		if len(m.root)+len(rest) == 0 {
			return fmt.Errorf("the key of %s becomes empty at its destination (imports.markers: skip leaves it out): %w",
				m.Address(string(o.Key)), objectstore.ErrBadKey)
		}
		b.Append(rest, o.Key, o.ETag, o.Size, o.ModTime)
	}
	return nil
}

// parent returns the URI of the directory that holds the path: a prefix may end within a
// name, and then includes other names that start so.
func (m Mapping) parent() objectstore.URI {
	uri := m.uri
	uri.Key = uri.Key[:strings.LastIndexByte(uri.Key, '/')+1]
	return uri
}

// opened returns the URI whose store is opened: of a directory the one that holds the path, as
// that must be one that may be read.
func (m Mapping) opened() objectstore.URI {
	if m.uri.Scheme == objectstore.SchemeS3 {
		return m.uri
	}
	return m.parent()
}

// first returns a lower bound (inclusive) of all destinations.
func (m Mapping) first() string { return m.Destination(m.uri.Key) }

// Nowhere lies before all keys: a caller that is sure to read up to it is sure to read one
// page only.
const Nowhere = "\x00"

// upto returns up to which key the path is sure to be read if destinations are read up to
// upto. Empty is the end.
func (m Mapping) upto(upto string) string {
	if upto == "" {
		return ""
	}
	switch start, ok := m.after(upto); {
	case !ok:
		return ""
	case start == "":
		return Nowhere
	default:
		return start
	}
}

// after returns the start of a listing of the path that shows exactly the objects whose
// destinations lie after `after`; ok is false if there can be none.
func (m Mapping) after(after string) (start string, ok bool) {
	switch {
	case m.object:
		return "", after < m.root
	case strings.HasPrefix(after, m.root):
		if rest := after[len(m.root):]; rest != "" || m.root != "" {
			return m.base + rest, true
		}
		return "", true // from the very start, the key that becomes empty included
	default:
		return "", after < m.root
	}
}
