package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// contentWithin is how long reading a part of an object may take.
const contentWithin = time.Minute

// Parts yields the bytes of an object from an offset up to another one, which lie within its
// size, in parts of limits.ContentPart bytes. It may be called concurrently.
//
// An error is yielded last. It is a Gone fault if the object is not in its store any more, or
// is not the one of its entry: then the parts before it are worth nothing.
type Parts func(ctx context.Context, from, to int64) iter.Seq2[[]byte, error]

// content is an object of a tree, as its store holds it.
type content struct {
	entry entry.Entry
	store objectstore.Store
	key   string
}

// Content returns what reads the object of an entry of the repository. The object must lie in
// the storage namespace of the repository, or in a source that may be imported: else it is a
// Forbidden fault. Nothing is read of the object yet.
func (s *Service) Content(ctx context.Context, repository string, e entry.Entry) (Parts, error) {
	if e.Size < 0 {
		return nil, fmt.Errorf("object %q: %w: its size is %d", e.Key, table.ErrCorrupt, e.Size)
	}
	r, err := s.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	uri, own, err := s.validate.readable(ctx, r, e.Address)
	if err != nil {
		return nil, err
	}
	if own { // lakeFS wrote it: under a name of its own, and with a checksum that need not be the store's ETag
		e.ETag = ""
	}
	var store objectstore.Store
	if own {
		store, err = s.cfg.Stores.Open(ctx, uri)
	} else {
		store, err = s.cfg.Stores.OpenSource(ctx, uri, true)
	}
	if err != nil {
		return nil, forbidden(err)
	}
	return content{e, store, uri.Key}.parts, nil
}

// readable returns the place of an object that a tree of the repository refers to, and whether
// it is in the repository's own namespace, or a Forbidden fault. Whoever can write a storage
// namespace can write such a tree.
func (v *validator) readable(ctx context.Context, r catalog.Repository, address string) (uri objectstore.URI, own bool, err error) {
	namespace, err := objectstore.ParseURI(r.StorageNamespace)
	if err != nil {
		return uri, false, fmt.Errorf("storage namespace of repository %q: %w", r.ID, err)
	}
	if uri, err := objectstore.ParseURI(address); err == nil && directory(namespace).Contains(uri) {
		return uri, true, nil
	}
	// What could be read a moment ago can be read now. What could not, perhaps because of a
	// repository that is gone by now, is checked again.
	if uri, err = v.outside(ctx, address, v.known.recent); fault.Is(err, fault.Invalid) {
		uri, err = v.outside(ctx, address, v.known.fresh)
	}
	if fault.Is(err, fault.Invalid) {
		err = fault.Forbid("%v", err)
	}
	return uri, false, err
}

// outside returns the place of an object that may be imported, or an Invalid fault.
func (v *validator) outside(ctx context.Context, address string, list func(context.Context) ([]catalog.Repository, error)) (objectstore.URI, error) {
	repositories, err := list(ctx)
	if err != nil {
		return objectstore.URI{}, err
	}
	return v.source(ctx, "physical_address", address, imports.Object, repositories)
}

// forbidden turns an error that trying again does not help into a Forbidden fault.
func forbidden(err error) error {
	if err != nil && objectstore.Permanent(err) {
		return fault.Forbid("%v", err)
	}
	return err
}

// parts implements Parts. Before it yields the first part, and again before the last, it
// compares the object with the entry. So all parts are of one object, if it is not replaced
// and put back meanwhile.
func (c content) parts(ctx context.Context, from, to int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if from == to {
			if err := c.compare(ctx); err != nil {
				yield(nil, err)
			}
			return
		}
		for at := from; at < to; at += limits.ContentPart {
			n := min(limits.ContentPart, to-at)
			part, err := c.part(ctx, at, n)
			if err == nil && (at == from || at+n == to) {
				err = c.compare(ctx)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(part, nil) {
				return
			}
		}
	}
}

// part reads n bytes from an offset on.
func (c content) part(ctx context.Context, offset, n int64) ([]byte, error) {
	reading, cancel := context.WithTimeout(ctx, contentWithin)
	defer cancel()
	part, size, err := c.store.GetRange(reading, c.key, offset, n)
	switch {
	case err != nil && objectstore.Permanent(err):
		if changed := c.compare(ctx); changed != nil { // such as an offset behind the end
			return nil, changed
		}
		return nil, forbidden(err)
	case err != nil:
		return nil, err
	case size != c.entry.Size:
		return nil, fault.Vanished("the object %s has changed since it was imported: it had %d bytes and has %d", c.entry.Address, c.entry.Size, size)
	case int64(len(part)) != n:
		return nil, fmt.Errorf("read %d bytes at %d of %s: got %d", n, offset, c.entry.Address, len(part))
	}
	return part, nil
}

// compare returns a Gone fault if the object is not the one of the entry any more.
func (c content) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, contentWithin)
	defer cancel()
	o, err := c.store.Stat(ctx, c.key)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return fault.Vanished("No data: the object %s is not in its store any more", c.entry.Address)
	case err != nil:
		return forbidden(err)
	case o.Size != c.entry.Size || o.ETag != c.entry.ETag && c.entry.ETag != "":
		return fault.Vanished("the object %s has changed since it was imported: it had %d bytes and the ETag %q, and has %d and %q",
			c.entry.Address, c.entry.Size, c.entry.ETag, o.Size, o.ETag)
	}
	return nil
}
