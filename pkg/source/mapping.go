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

// Mapping says where the keys of one path go. It keeps their order. It is
// immutable.
//
//	s3://b/a/pre to data:  base a/  prefix a/pre  root data/
//	                       a/pre1/x  becomes  data/pre1/x
type Mapping struct {
	uri    objectstore.URI
	host   string // what turns a key into an address: the URI of the empty key
	object bool   // the path is one object, and root is its destination
	base   string // of a prefix: what its keys lose, empty or ending in '/'
	root   string // what takes base's place, empty or ending in '/'
}

// NewMapping returns the mapping of a path. What cannot be a path of any import
// is an error.
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

// Destination returns the key that the object goes to. For a prefix, the object
// is one whose key starts with it; its destination may be empty, which is no
// valid key.
func (m Mapping) Destination(key string) string {
	if m.object {
		return m.root
	}
	return m.root + key[len(m.base):]
}

// becomesEmpty reports whether the object's key is empty at its destination: it is
// the marker of the folder that the path names, and goes to the root.
func (m Mapping) becomesEmpty(key []byte) bool {
	return !m.object && m.root == "" && len(key) == len(m.base)
}

// Address returns the physical address of the object: its URI.
func (m Mapping) Address(key string) string { return m.host + key }

// appendTo appends objects to b, as the entries that they become.
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

// parent returns what the path is read from: a prefix may end inside of a name,
// and then takes in what lies beside that name.
func (m Mapping) parent() objectstore.URI {
	uri := m.uri
	uri.Key = uri.Key[:strings.LastIndexByte(uri.Key, '/')+1]
	return uri
}

// first returns a lower bound (inclusive) of all destinations.
func (m Mapping) first() string { return m.Destination(m.uri.Key) }

// Nowhere is before all keys: a listing that is sure to be read up to it is sure
// to be read for one page only.
const Nowhere = "\x00"

// upto returns up to where the source is sure to be read if its destinations are
// up to the key upto. Empty is the end.
func (m Mapping) upto(upto string) string {
	if upto == "" {
		return ""
	}
	switch start, ok := m.After(upto); {
	case !ok:
		return ""
	case start == "":
		return Nowhere
	default:
		return start
	}
}

// After returns what to list the source after to get exactly the objects whose
// destinations lie after `after`; ok is false if there can be none.
func (m Mapping) After(after string) (start string, ok bool) {
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
