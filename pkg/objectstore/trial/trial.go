// Package trial tests whether a bucket can be listed in parallel: whether it answers LISTs
// that start after any string with the keys that follow, as a walk by continuation tokens
// shows them. A trial can find a fault; it cannot prove that there is none.
package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Pages lists pages of a bucket. It does not retry.
type Pages interface {
	// ListAfter calls take with the page that follows a start, unless it is empty, and
	// reports whether the store says that more keys follow, without confirming that. The
	// page has at most `keys` keys; 0 is as many as imports ask for. It belongs to take
	// during the call.
	ListAfter(ctx context.Context, prefix, after string, keys int, take func([]objectstore.Listed)) (more bool, err error)
	// WalkPage is that of objectstore.Pager.
	WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error)
}

// Bucket is a bucket to be tried.
type Bucket struct {
	Store   string // what the store says that it is, in words
	Known   bool   // as one that answers LISTs after any start
	Encodes bool   // the store writes keys URL-encoded, as it is asked to
	Pages   Pages
}

// Limits bound a trial.
type Limits struct {
	Lists  int           // LIST calls; a third of them may be for the walk
	Keys   int           // walked keys
	Bytes  int           // of walked keys
	Within time.Duration // the whole trial; half of it may be for the walk
}

// Config says how a bucket is tried.
type Config struct {
	Limits Limits
	Starts int    // LISTs after a start, at most
	Seed   uint64 // of the choice of starts
}

// Report is the result of a trial.
type Report struct {
	Walk      Walk
	WalkFault string // why the bucket cannot be walked, in words; "": no fault was found
	Tried     int    // starts
	Fault     *Fault // the first that was found, with the last start that was tried
	Changed   int    // starts whose answers show that the bucket changed meanwhile
	Lists     int    // LIST calls that were made
	CutShort  string // why not all starts were tried, in words; "": they were
}

// Fault is an answer that would lose keys, or worse.
type Fault struct {
	Start         Start
	Contradiction Contradiction // of the walk; zero if Words are set
	Words         string        // what is wrong with the answer by itself; "": nothing
}

// errSpent says that no further LIST may be made.
var errSpent = errors.New("as many LISTs were made as a trial may make")

// errLate is the cause of a trial's own deadline.
var errLate = errors.New("the time of a trial is over")

// Run tries a bucket under a prefix. It only reads. Its errors are those of the pages; a
// transient one is returned after three tries. That a trial reaches its limits is no
// error, unless not a single page was walked.
func Run(ctx context.Context, pages Pages, prefix string, cfg Config) (Report, error) {
	t := &trial{pages: pages, cfg: cfg}
	t.report.Walk.Prefix = prefix
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Limits.Within, errLate)
	defer cancel()
	err := t.walk(ctx)
	if err == nil && t.report.WalkFault == "" {
		err = t.starts(ctx)
	}
	if late := context.Cause(ctx); err != nil && errors.Is(late, errLate) {
		err = late
	}
	if walked := t.report.Walk.Pages > 0; walked && (errors.Is(err, errSpent) || errors.Is(err, errLate)) {
		t.report.CutShort, err = err.Error(), nil
	}
	return t.report, err
}

// trial is one trial in progress.
type trial struct {
	pages  Pages
	cfg    Config
	report Report
}

// walk walks to the end, or as far as the limits allow.
func (t *trial) walk(ctx context.Context) error {
	half, cancel := context.WithTimeout(ctx, t.cfg.Limits.Within/2)
	defer cancel()
	w := &t.report.Walk
	for token := ""; ; {
		var page []string
		var next string
		err := t.call(half, func(ctx context.Context) (err error) {
			page = nil
			next, err = t.pages.WalkPage(ctx, w.Prefix, token, collect(&page))
			return err
		})
		switch {
		case errors.Is(err, objectstore.ErrBadListing):
			t.report.WalkFault = err.Error()
			return nil
		case err != nil && half.Err() != nil && ctx.Err() == nil && w.Pages > 0:
			return nil
		case err != nil:
			return err
		}
		w.Pages++
		if err := w.add(page); err != nil {
			t.report.WalkFault = err.Error()
			return nil
		}
		if w.Complete = next == ""; w.Complete || t.cfg.Limits.reached(w) {
			return nil
		}
		token = next
	}
}

// reached reports whether a walk is as long as it may be.
func (l Limits) reached(w *Walk) bool {
	return w.Pages >= max(1, l.Lists/3) || len(w.Keys) >= l.Keys || w.bytes >= l.Bytes
}

// starts tries one start after another until one shows a fault.
func (t *trial) starts(ctx context.Context) error {
	for _, s := range t.report.Walk.starts(rand.New(rand.NewPCG(t.cfg.Seed, 0)), t.cfg.Starts) {
		fault, err := t.try(ctx, s)
		if err != nil {
			return err
		}
		t.report.Tried++
		if fault == nil {
			continue
		}
		confirmed, err := t.confirm(ctx, *fault)
		if err != nil {
			return err
		}
		if confirmed {
			t.report.Fault = fault
			return nil
		}
		t.report.Changed++
	}
	return nil
}

// try lists the page after a start, and judges it.
func (t *trial) try(ctx context.Context, s Start) (*Fault, error) {
	var got answer
	err := t.call(ctx, func(ctx context.Context) (err error) {
		got.Keys = nil
		got.More, err = t.pages.ListAfter(ctx, t.report.Walk.Prefix, s.After, s.Keys, collect(&got.Keys))
		return err
	})
	if errors.Is(err, objectstore.ErrBadListing) {
		return &Fault{Start: s, Words: err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	if c, contradicts := t.report.Walk.judge(s.After, got); contradicts {
		return &Fault{Start: s, Contradiction: c}, nil
	}
	return nil, nil
}

// confirm reports whether a fault is the store's, and not due to a change of the bucket since
// the walk. If it is the store's, a lost key still exists, an added key does not, and anything
// else that is wrong with an answer is wrong again.
func (t *trial) confirm(ctx context.Context, f Fault) (bool, error) {
	c := f.Contradiction
	if c.loses() {
		return t.exists(ctx, c.Want)
	}
	if c.Got > f.Start.After {
		if written, err := t.exists(ctx, c.Got); written || err != nil {
			return false, err
		}
	}
	again, err := t.try(ctx, f.Start)
	return again != nil, err
}

// collect returns a function that appends the keys of a page to them.
func collect(keys *[]string) func([]objectstore.Listed) {
	return func(page []objectstore.Listed) {
		for _, o := range page {
			*keys = append(*keys, string(o.Key))
		}
	}
}

// exists reports whether a walk shows a key, as the first of the keys that start with it.
func (t *trial) exists(ctx context.Context, key string) (bool, error) {
	var page []string
	err := t.call(ctx, func(ctx context.Context) (err error) {
		page = nil
		_, err = t.pages.WalkPage(ctx, key, "", collect(&page))
		return err
	})
	return len(page) > 0 && page[0] == key, err
}

// How a call is retried.
const (
	maxTries   = 3
	firstPause = 500 * time.Millisecond
	maxPause   = 5 * time.Second
)

// call makes a LIST, and retries it after transient errors.
func (t *trial) call(ctx context.Context, list func(context.Context) error) error {
	for tries := 1; ; tries++ {
		if t.report.Lists >= t.cfg.Limits.Lists {
			return errSpent
		}
		t.report.Lists++
		err := list(ctx)
		if err == nil || objectstore.Permanent(err) || tries == maxTries {
			return err
		}
		if late := pause.For(ctx, rand.N(pause.Bound(firstPause, maxPause, tries))); late != nil {
			return fmt.Errorf("%w: %w", late, err)
		}
	}
}
