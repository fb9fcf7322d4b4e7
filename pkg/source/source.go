// Package source lists the objects of all paths of an import, under their destination keys,
// as one sequence of Arrow batches in key order.
//
// Each path maps its keys into the destination without changing their order, so that the
// paths' listings can be merged by key. Paths may overlap in the destination; if they
// have a key in common, the object of the later path is taken.
package source

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
)

// Source is the ordered listing of one import. It is safe for concurrent use;
// every List lists anew.
type Source struct {
	paths []path // in the order of the request

	// Markers says what to do with an object whose destination key would be empty. It is
	// set before the source is used; the zero value refuses the object.
	Markers imports.Markers
}

// path is one path of the import with its store.
type path struct {
	Mapping
	store objectstore.Store
	walk  objectstore.Walker // the same store, if it is to be walked; else nil
	rank  int                // its index in the request
}

// Open opens the stores of the paths. Buckets are listed in the mode; directories have only
// one. An invalid path is objectstore.ErrRefused; other errors are those of the opener.
func Open(ctx context.Context, opener objectstore.SourceOpener, paths []imports.Path, mode objectstore.Mode) (*Source, error) {
	s := &Source{paths: make([]path, len(paths))}
	for i, p := range paths {
		m, err := NewMapping(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", objectstore.ErrRefused, err)
		}
		store, err := opener.OpenSource(ctx, m.opened(), m.object)
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", p.URI, err)
		}
		s.paths[i] = path{Mapping: m, store: store, rank: i}
		if mode == objectstore.Walk && m.uri.Scheme == objectstore.SchemeS3 {
			walker, ok := store.(objectstore.Walker)
			if !ok {
				return nil, fmt.Errorf("path %s: the store cannot be walked: %w", p.URI, objectstore.ErrRefused)
			}
			s.paths[i].walk = walker
		}
	}
	return s, nil
}

// Roles returns the ARN of the role with which each path is read, "" for a path without one, and
// nil if none has one. An invalid path, and one that holds a source with a role of its own, is
// objectstore.ErrRefused.
func Roles(t roles.Table, paths []imports.Path) ([]string, error) {
	arns, assumed := make([]string, len(paths)), false
	for i, p := range paths {
		m, err := NewMapping(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", objectstore.ErrRefused, err)
		}
		session, ok, err := t.For(m.opened(), m.object)
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", p.URI, err)
		}
		arns[i], assumed = session.Role.ARN, assumed || ok
	}
	if !assumed {
		return nil, nil
	}
	return arns, nil
}

// Walks reports whether a listing begins with the first key of a path wherever it is to
// start, and passes over the keys before.
func (s *Source) Walks() bool {
	return slices.ContainsFunc(s.paths, func(p path) bool { return p.walk != nil && !p.object })
}

// List lists the entries whose keys lie after `after` (exclusive), in key order,
// in batches of 1 to about 1000. A batch belongs to the caller only until the
// next one; Slice it to keep it. A sequence that ends without an error is
// complete; after an error it ends. The keys that opts.Upto returns are those of
// entries; Nowhere says that the caller takes only the first batch. When the loop over
// the sequence ends, all that it started has ended.
//
// A path is read, a page or more ahead of the caller, only once the listing comes to its
// destination.
//
// Errors are those of the stores. A destination key that is longer than limits.Key, or that is
// empty and that Markers does not skip, is objectstore.ErrBadListing. An object path
// whose object does not exist is ErrNotFound.
func (s *Source) List(ctx context.Context, after string, opts objectstore.ListOptions) iter.Seq2[entry.Batch, error] {
	opts = opts.WithDefaults()
	return func(yield func(entry.Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var readers sync.WaitGroup
		defer readers.Wait()
		defer cancel()
		(&merger{streams: s.streams(after, opts, &readers), yield: yield}).run(ctx)
	}
}

// streams returns the streams that may have keys after `after`.
func (s *Source) streams(after string, opts objectstore.ListOptions, readers *sync.WaitGroup) []*stream {
	var streams []*stream
	var objects []path
	for _, p := range s.paths {
		start, ok := p.after(after)
		if !ok {
			continue
		}
		if p.object {
			objects = append(objects, p)
			continue
		}
		streams = append(streams, &stream{
			rank: p.rank, head: []byte(max(after, p.first())), readers: readers,
			list: func(ctx context.Context) iter.Seq2[entry.Batch, error] {
				if p.walk != nil {
					return p.batches(p.walkAfter(ctx, start, opts), s.Markers)
				}
				return p.batches(p.store.List(ctx, p.uri.Key, start, p.options(opts)), s.Markers)
			},
		})
	}
	for _, layer := range layers(objects) {
		streams = append(streams, layer.stream(readers))
	}
	return streams
}

// Removed returns what the import replaces: everything under the prefixes, each of which
// is empty (everything) or ends in '/', and the keys.
func (s *Source) Removed() (prefixes, keys []string) {
	for _, p := range s.paths {
		if p.object {
			keys = append(keys, p.root)
		} else {
			prefixes = append(prefixes, p.root)
		}
	}
	slices.Sort(prefixes)
	slices.Sort(keys)
	return slices.Compact(prefixes), slices.Compact(keys)
}
