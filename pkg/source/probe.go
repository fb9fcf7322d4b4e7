package source

import (
	"context"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Probe is what the first page of each path shows.
type Probe struct {
	Empty   []string // URIs of the prefix paths without any key to import, in the order of the request
	Skipped int64    // distinct objects that List skips
	Small   bool     // the paths hold no more than a page of keys in total
}

// probes is how many paths are probed in parallel.
const probes = 16

// Probe lists the first page of each prefix path, and looks for a second one. A path is
// empty only if its store lists it to the end without an error. Object paths are not
// probed: the listing fails if the object does not exist.
func (s *Source) Probe(ctx context.Context) (Probe, error) {
	looks := make([]look, len(s.paths))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probes)
	for i, p := range s.paths {
		if p.object {
			looks[i] = look{keys: 1, ended: true}
			continue
		}
		g.Go(func() (err error) {
			looks[i], err = p.look(ctx, s.Markers)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Probe{}, err
	}
	return s.sum(looks), nil
}

// sum adds up what the paths have shown.
func (s *Source) sum(looks []look) Probe {
	found := Probe{Small: true}
	keys, marked := 0, make(map[string]bool)
	for i, l := range looks {
		uri := s.paths[i].uri.String()
		keys += l.keys
		found.Small = found.Small && l.ended && keys <= batchEntries
		if l.keys == 0 && !slices.Contains(found.Empty, uri) {
			found.Empty = append(found.Empty, uri)
		}
		if l.marker {
			marked[uri] = true
		}
	}
	found.Skipped = int64(len(marked))
	return found
}

// look is what the first page of a path shows. Without keys, the path has ended.
type look struct {
	keys   int  // to import, in the first page that has any
	marker bool // List skips an object
	ended  bool // nothing follows these keys
}

// look lists the path up to its first page with keys, and finds out whether another follows.
func (p path) look(ctx context.Context, markers imports.Markers) (l look, err error) {
	for page, err := range p.pages(ctx) {
		if err != nil {
			return l, err
		}
		if l.keys > 0 {
			return l, nil
		}
		page, marker := p.unmarked(page, markers)
		l.keys, l.marker = len(page), l.marker || marker
	}
	l.ended = true
	return l, nil
}

// pages yields the first pages of the path, in the way that List lists it.
func (p path) pages(ctx context.Context) iter.Seq2[[]objectstore.Listed, error] {
	if p.walk != nil {
		return p.walk.Walk(ctx, p.uri.Key, objectstore.ListOptions{})
	}
	return p.store.List(ctx, p.uri.Key, "", objectstore.ReadTo(Nowhere))
}
