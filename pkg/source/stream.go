package source

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"sort"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// options translates the options of a listing of the source, with keys of entries, into those
// of a listing of the path, with keys of its store.
func (p path) options(opts objectstore.ListOptions) objectstore.ListOptions {
	upto := opts.Upto
	opts.Upto = func() string { return p.upto(upto()) }
	return opts
}

// walkAfter walks a prefix path from its first key on, and passes over the keys that
// do not lie after start.
func (p path) walkAfter(ctx context.Context, start string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		for page, err := range p.walk.Walk(ctx, p.uri.Key, opts) {
			n := sort.Search(len(page), func(i int) bool { return string(page[i].Key) > start })
			if err == nil && n == len(page) {
				opts.PassedOver()
				continue
			}
			if !yield(page[n:], err) {
				return
			}
		}
	}
}

// batches makes batches of entries out of pages.
func (p path) batches(pages iter.Seq2[[]objectstore.Listed, error], markers imports.Markers) iter.Seq2[entry.Batch, error] {
	return func(yield func(entry.Batch, error) bool) {
		b := entry.NewBuilder()
		for page, err := range pages {
			if err == nil {
				page, _ = p.unmarked(page, markers)
				err = p.appendTo(b, page...)
			}
			if err != nil {
				yield(entry.Batch{}, err)
				return
			}
			if len(page) > 0 && !yield(b.Batch(), nil) {
				return
			}
		}
	}
}

// unmarked returns a page without the marker that is to be skipped, and whether there was one.
// It can only be the first object, since every key of the path starts with its key.
func (p path) unmarked(page []objectstore.Listed, markers imports.Markers) (rest []objectstore.Listed, marker bool) {
	if markers == imports.SkipMarkers && len(page) > 0 && p.becomesEmpty(page[0].Key) {
		return page[1:], true
	}
	return page, false
}

// layer is the object paths between two prefix paths of the request, so that one rank fits
// them all. They are sorted, with one path for each destination.
type layer []path

// layers puts object paths, in the order of the request, into layers.
func layers(objects []path) []layer {
	var out []layer
	for i, o := range objects {
		if i == 0 || o.rank != objects[i-1].rank+1 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], o)
	}
	for i, l := range out {
		slices.SortFunc(l, func(a, b path) int {
			return cmp.Or(cmp.Compare(a.root, b.root), cmp.Compare(b.rank, a.rank)) // the later path first
		})
		out[i] = slices.CompactFunc(l, func(a, b path) bool { return a.root == b.root })
	}
	return out
}

// Objects are looked up in parallel, for each takes a call of its own.
const (
	statBatch    = 64
	statParallel = 16
)

func (l layer) stream(readers *sync.WaitGroup) *stream {
	return &stream{
		rank: l[0].rank, head: []byte(l[0].root), readers: readers,
		list: func(ctx context.Context) iter.Seq2[entry.Batch, error] {
			return func(yield func(entry.Batch, error) bool) {
				b := entry.NewBuilder()
				for chunk := range slices.Chunk(l, statBatch) {
					failed := statAll(ctx, b, chunk)
					if b.Len() > 0 && !yield(b.Batch(), nil) {
						return
					}
					if failed != nil {
						yield(entry.Batch{}, failed)
						return
					}
				}
			}
		},
	}
}

// statAll appends the objects up to the first one whose call failed, and returns that error.
// Later objects are left out, so that the listing does not depend on the timing of the calls.
func statAll(ctx context.Context, b *entry.Builder, l layer) error {
	objects, errs := make([]objectstore.Object, len(l)), make([]error, len(l))
	var g errgroup.Group
	g.SetLimit(statParallel)
	for i, o := range l {
		g.Go(func() error {
			objects[i], errs[i] = o.store.Stat(ctx, o.uri.Key)
			return nil
		})
	}
	_ = g.Wait()
	for i, o := range objects {
		if errs[i] != nil {
			return errs[i]
		}
		if err := l[i].appendTo(b, o.Listed()); err != nil {
			return err
		}
	}
	return nil
}

// stream is one of the ordered listings that are merged. Its reader goroutine starts when
// the merge comes to it, and ends with its context.
type stream struct {
	rank    int // if streams have a key in common, that with the highest rank wins
	list    func(context.Context) iter.Seq2[entry.Batch, error]
	readers *sync.WaitGroup

	head    []byte      // the current key; until opened, a lower bound of all keys
	pages   chan result // nil until opened
	batch   entry.Batch
	pos     int // of head in batch
	reading context.Context
}

type result struct {
	batch entry.Batch
	err   error
}

func (s *stream) opened() bool { return s.pages != nil }

// open starts the reader. The channel has no buffer: the reader is one page ahead, which it
// holds itself.
func (s *stream) open(ctx context.Context) {
	s.pages, s.reading = make(chan result), ctx
	s.readers.Go(func() {
		defer close(s.pages)
		for batch, err := range s.list(ctx) {
			select {
			case s.pages <- result{batch, err}:
			case <-ctx.Done():
				batch.Release()
				return
			}
		}
	})
}

// skip advances by n entries, within the current batch or to the next one; more is false at
// the end.
func (s *stream) skip(n int) (more bool, err error) {
	if s.pos += n; s.pos < s.batch.Len() {
		s.head = s.batch.Key(s.pos)
		return true, nil
	}
	s.batch.Release()
	s.batch, s.pos = entry.Batch{}, 0
	r, ok := <-s.pages
	if !ok { // the end, unless the reader was stopped
		return false, s.reading.Err()
	}
	if r.err != nil {
		return false, r.err
	}
	s.batch, s.head = r.batch, r.batch.Key(0)
	return true, nil
}

// before returns how many entries from the head on lie before limit.
func (s *stream) before(limit []byte) int {
	rest := s.batch.Len() - s.pos
	if bytes.Compare(s.batch.Key(s.pos+rest-1), limit) < 0 {
		return rest
	}
	return sort.Search(rest, func(i int) bool { return bytes.Compare(s.batch.Key(s.pos+i), limit) >= 0 })
}
