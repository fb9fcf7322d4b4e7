package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// A listing ends too early while the partition beyond it is still to be listed. The import
// does not land before that partition has ended, and the keys in between are listed again.
func TestAnEarlyEndIsContradictedByKeysBeyond(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	var lies atomic.Bool
	lies.Store(true)
	source.EndsAfter = func(after string) bool { return lies.Load() && after > "dir/000500" && after < "dir/001500" }
	beyond := make(chan struct{})
	source.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op == "list" && c.After == "dir/001500" {
			select {
			case <-beyond:
			case <-ctx.Done():
			}
		}
		return nil
	}
	f := newFleet(t, source)
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/001500")
	f.run(s.Run)
	f.work(2)
	expect.Eventually(t, "a listing ends early", func() bool {
		p := s.follow(id, root)
		if p == nil {
			return true // the import has ended
		}
		fold, _ := p.Fold()
		return fold.Complete() && fold.Beyond == "dir/001500"
	})
	begun := s.watch.begun.Load()
	expect.Eventually(t, "two surveys begin and end", func() bool { seen := s.watch.last.Load(); return seen != nil && seen.number > begun+1 })
	r, err := f.imports.Get(t.Context(), id)
	if expect.NoError(t, err); r.State != imports.Running {
		t.Errorf("while keys beyond the end are still to be listed, the import is %s", r.State)
	}
	lies.Store(false)
	close(beyond)
	f.completed(id)
	f.expectTree(entries)
}

// If no anchor follows a cut, the partition beyond the cut owns nothing. The end that the
// partition before it claims counts once the partition beyond has ended.
func TestAnEndBeyondACutCountsOnceAllHaveEnded(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 300)
	f.config.Breaks.Raggedness = 1 << 40
	s := f.service()
	id := f.startCut(s, request("", ""), "dir/000150")
	f.run(s.Run)
	f.work(2)
	f.completed(id)
	f.expectTree(entries)
}

// An import whose end is final meets an error each time it is about to land. No step in
// between waits for another survey. Such a step would count as a success, and there would
// never be enough errors in a row for the import to fail.
func TestAFinalEndStaysFinal(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 300)
	f.config.Breaks.Raggedness = 1 << 40
	s := f.service()
	t.Cleanup(s.close)
	id := f.startCut(s, request("", ""), "dir/000150")
	f.work(2)
	d := s.newDriver(id, root)
	expect.Eventually(t, "the end is final", func() bool {
		expect.NoError(t, s.watch.survey(t.Context()))
		fold, covers := d.progress.Fold()
		if !fold.Complete() {
			return false
		}
		final, err := d.gaps.endIsFinal(t.Context(), fold, covers)
		expect.NoError(t, err)
		return final
	})
	away := errors.New("the store is away")
	f.buckets["repo"].Hook = func(context.Context, memstore.Call) error { return away }
	for range 2 {
		if _, err := d.step(t.Context()); !errors.Is(err, away) {
			t.Errorf("a step: %v, want the error of landing", err)
		}
	}
}

// A partition lists the last keys. Then some of them are removed, among them the anchor
// up to which the partition before it owns the keys. So that partition claims an end
// before a key that was listed. Only the store can tell that the key is gone.
func TestTheLastKeysAreRemovedWhileTheyAreListed(t *testing.T) {
	t.Parallel()
	source, entries := numbered(300)
	anchor := len(entries) - 10
	for !small.Anchor([]byte(entries[anchor].Key)) {
		anchor--
	}
	first := make(chan struct{})
	source.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op == "list" && c.After == "" {
			select {
			case <-first:
			case <-ctx.Done():
			}
		}
		return nil
	}
	f := newFleet(t, source)
	s := f.service()
	id := f.startCut(s, request("", ""), entries[anchor-1].Key)
	f.run(s.Run)
	f.work(2)
	last := len(entries) - 1
	expect.Eventually(t, "the last keys are listed", func() bool {
		p := s.follow(id, root)
		if p == nil {
			return false
		}
		_, covers := p.Fold()
		return covers >= 2
	})
	source.Remove(entries[anchor].Key, entries[last].Key)
	close(first)
	f.completed(id)
	left := slices.Delete(slices.Clone(entries[:last]), anchor, anchor+1)
	f.expectTree(left)
}
