package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Has reports whether an object of the source has the destination key.
func (s *Source) Has(ctx context.Context, key string) (bool, error) {
	for _, p := range s.paths {
		from, ok := p.from(key)
		if !ok {
			continue
		}
		_, err := p.store.Stat(ctx, from)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, objectstore.ErrNotFound) {
			return false, fmt.Errorf("path %s: %w", p.uri, err)
		}
	}
	return false, nil
}

// Shows reports whether a listing that starts just before the destination key shows the
// object of that key, as far as one page can tell. It is true if there is no such object.
// Directories are not listed, for their listings do not depend on a start.
func (s *Source) Shows(ctx context.Context, key string) (bool, error) {
	for _, p := range s.paths {
		from, ok := p.from(key)
		if !ok || p.object || p.uri.Scheme != objectstore.SchemeS3 {
			continue
		}
		shown, err := p.shows(ctx, from)
		if err != nil {
			return false, fmt.Errorf("path %s: %w", p.uri, err)
		}
		if shown {
			continue
		}
		_, err = p.store.Stat(ctx, from)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue // it is gone, or another path has it
		}
		return false, err
	}
	return true, nil
}

// shows reports whether a listing that starts after the key without its last rune shows the
// key in its first page. It is also true if more than a page lies before the key.
func (p path) shows(ctx context.Context, key string) (bool, error) {
	_, size := utf8.DecodeLastRuneInString(key)
	pages := 0
	for page, err := range p.store.List(ctx, p.uri.Key, key[:len(key)-size], objectstore.ReadTo(Nowhere)) {
		if err != nil {
			return false, err
		}
		if pages++; pages > 1 {
			return true, nil
		}
		for i := range page {
			if string(page[i].Key) >= key {
				return string(page[i].Key) == key, nil
			}
		}
	}
	return false, nil
}

// from returns the key of the path's store whose object goes to the key, if one may.
// Where destinations overlap, it may be a key that only another path's store can hold.
func (m Mapping) from(key string) (from string, ok bool) {
	if m.object {
		return m.uri.Key, key == m.root
	}
	rest, ok := strings.CutPrefix(key, m.root)
	from = m.base + rest
	return from, ok && strings.HasPrefix(from, m.uri.Key) && possible(m.uri.Scheme, from)
}

// maxName is the longest name of a file in bytes.
const maxName = 255

// possible reports whether a store can hold an object of the key. One that cannot does
// not answer that there is none, but refuses the call.
func possible(scheme, key string) bool {
	if scheme == objectstore.SchemeS3 {
		return len(key) <= limits.Key
	}
	for name := range strings.SplitSeq(key, "/") {
		if name == "" || name == "." || name == ".." || len(name) > maxName || strings.Contains(name, "\x00") {
			return false
		}
	}
	return true
}
