package worker

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// wait is a call to a store that is not answered yet.
type wait struct {
	store string // scheme and bucket
	what  string // what is waited for, with the store's name
	since time.Time
}

// waits are the calls to stores that a delivery waits for. It is safe for concurrent
// use.
type waits struct {
	now      func() time.Time
	answered func(store string, after time.Duration)

	mu   sync.Mutex
	open map[*wait]struct{}
}

func newWaits(now func() time.Time, answered func(store string, after time.Duration)) *waits {
	return &waits{now: now, answered: answered, open: make(map[*wait]struct{})}
}

func (w *waits) begin(store, what string) *wait {
	c := &wait{store: store, what: what, since: w.now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[c] = struct{}{}
	return c
}

// end ends a wait. An error is no answer.
func (w *waits) end(c *wait, err error) {
	w.mu.Lock()
	delete(w.open, c)
	w.mu.Unlock()
	if err == nil {
		w.answered(c.store, w.now().Sub(c.since))
	}
}

// longest returns the wait that began first; ok is false if there is none.
func (w *waits) longest() (longest wait, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		if !ok || c.since.Before(longest.since) {
			longest, ok = *c, true
		}
	}
	return longest, ok
}

// waitingStores opens stores whose calls are noted as waits, and that tell which they repeat.
type waitingStores struct {
	opener   Stores
	waits    *waits
	repeated func(cause error)
}

// Open implements objectstore.Opener.
func (s waitingStores) Open(ctx context.Context, u objectstore.URI) (objectstore.Store, error) {
	return s.noted(u, func() (objectstore.Store, error) { return s.opener.Open(ctx, u) })
}

// OpenSource implements objectstore.SourceOpener.
func (s waitingStores) OpenSource(ctx context.Context, u objectstore.URI, object bool) (objectstore.Store, error) {
	return s.noted(u, func() (objectstore.Store, error) { return s.opener.OpenSource(ctx, u, object) })
}

func (s waitingStores) noted(u objectstore.URI, open func() (objectstore.Store, error)) (objectstore.Store, error) {
	name := u.Scheme + "://" + u.Bucket
	c := s.waits.begin(name, name+" to be opened")
	store, err := open()
	s.waits.end(c, err)
	if err != nil {
		return nil, err
	}
	store = objectstore.Telling(store, s.repeated)
	waiting := &waitingStore{Store: store, name: name, waits: s.waits}
	if walker, ok := store.(objectstore.Walker); ok {
		return waitingWalker{waiting, walker}, nil
	}
	return waiting, nil
}

// waitingStore notes the calls that it passes on.
type waitingStore struct {
	objectstore.Store
	name  string
	waits *waits
}

// List implements objectstore.Store.
func (s *waitingStore) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return s.pages(prefix, s.Store.List(ctx, prefix, after, opts))
}

// pages passes pages on. A wait lasts from when a page is asked for until it arrives.
func (s *waitingStore) pages(prefix string, pages iter.Seq2[[]objectstore.Listed, error]) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		what := fmt.Sprintf("a page of %s/%s", s.name, prefix)
		c := s.waits.begin(s.name, what)
		defer func() { s.waits.end(c, context.Canceled) }() // harmless where it was answered
		for page, err := range pages {
			s.waits.end(c, err)
			if !yield(page, err) {
				return
			}
			c = s.waits.begin(s.name, what)
		}
	}
}

// waitingWalker is a waitingStore that can be walked.
type waitingWalker struct {
	*waitingStore
	walker objectstore.Walker
}

// Walk implements objectstore.Walker.
func (s waitingWalker) Walk(ctx context.Context, prefix string, opts objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return s.pages(prefix, s.walker.Walk(ctx, prefix, opts))
}

// Stat implements objectstore.Store.
func (s *waitingStore) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	c := s.waits.begin(s.name, fmt.Sprintf("what %s says of %q", s.name, key))
	o, err := s.Store.Stat(ctx, key)
	s.waits.end(c, err)
	return o, err
}

// Put implements objectstore.Store.
func (s *waitingStore) Put(ctx context.Context, key string, body []byte, sum objectstore.Sum) error {
	c := s.waits.begin(s.name, fmt.Sprintf("%s to store %s", s.name, key))
	err := s.Store.Put(ctx, key, body, sum)
	s.waits.end(c, err)
	return err
}
