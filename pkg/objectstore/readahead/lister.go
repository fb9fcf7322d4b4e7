package readahead

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sort"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// pager lists one page of a store at a time. It is called concurrently.
type pager[P paged[P]] interface {
	// ListPage returns the first entries, in bytewise key order, whose keys have the
	// prefix and lie after `after`, and whether the store has more. After an empty page
	// there are no more. A store that breaks this is objectstore.ErrBadListing. The
	// caller owns the page.
	ListPage(ctx context.Context, prefix, after string) (page P, more bool, err error)
	// WalkPage returns the page of a continuation token, which is the first one if the token
	// is empty, and the token of the page after it, or "" if there is none. The keys
	// within a page are in order. The caller owns the page.
	WalkPage(ctx context.Context, prefix, token string) (page P, next string, err error)
}

// lister lists a store ahead of its consumers. It is safe for concurrent use.
type lister[P paged[P]] struct {
	pager    pager[P]
	cfg      Config
	metrics  *Metrics
	repeated func(cause error) // is told of each call that is repeated; called concurrently
}

// List lists the entries whose keys have the prefix and lie after `after`, in
// bytewise key order, in pages of at least one entry that the caller owns. A
// sequence that ends without an error is complete; after an error it ends.
//
// The caller may stop anywhere. Beyond opts.Upto little is listed ahead.
//
// The errors are those of the pager. A page is retried after a transient error. If pages
// contradict each other, the listing starts again after the last key that was handed
// over, and in the end as a walk, which needs no start.
func (l *lister[P]) List(ctx context.Context, prefix, after string, opts objectstore.ListOptions) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		opts := opts.WithDefaults()
		l.cfg.Limiter.active.Add(1)
		defer l.cfg.Limiter.active.Add(-1)
		at, before := []byte(after), after // the last key that was handed over, and the start of its page
		deliver := func(page P) bool {
			if page = l.after(page, string(at)); page.Len() == 0 {
				release(page)
				opts.PassedOver()
				return true
			}
			before = string(at)
			at = page.AppendKey(at[:0], page.Len()-1)
			return yield(page, nil)
		}
		for contradictions := 0; ; contradictions++ {
			walks := contradictions >= parallelTries
			var err error
			if !walks {
				// The last page is listed again: what the store said of the keys behind it
				// may have been wrong, or may have changed.
				err = l.run(ctx, prefix, before, opts.Upto, string(at) > before, deliver)
			} else {
				err = l.walkTo(ctx, prefix, opts, deliver)
			}
			if err == nil {
				return
			}
			bad := errors.Is(err, objectstore.ErrBadListing)
			if walks || !bad && !errors.Is(err, errTorn) {
				var none P
				yield(none, err)
				return
			}
			if bad {
				contradictions = parallelTries - 1 // such a store does not improve
			}
			l.metrics.restarts.Inc()
		}
	}
}

// walkTo delivers the pages of a walk until the end, an error, or until deliver returns
// false.
func (l *lister[P]) walkTo(ctx context.Context, prefix string, opts objectstore.ListOptions, deliver func(P) bool) error {
	for page, err := range l.walk(ctx, prefix, opts) {
		if err != nil {
			return err
		}
		if !deliver(page) {
			return nil
		}
	}
	return nil
}

// after returns the entries of a page that lie after a key.
func (l *lister[P]) after(page P, after string) P {
	var key []byte
	return page.Tail(sort.Search(page.Len(), func(i int) bool {
		key = page.AppendKey(key[:0], i)
		return string(key) > after
	}))
}

// parallelTries is how often a listing may contradict itself before it is walked. A listing
// of a store that changes meanwhile does so now and then.
const parallelTries = 3

var errTorn = errors.New("pages of the listing contradict each other")

// run lists with one plan until the end, an error, or until deliver returns false. promised
// says that keys are known to follow `after`. When run returns, all its calls have ended.
func (l *lister[P]) run(ctx context.Context, prefix, after string, upto func() string, promised bool, deliver func(P) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	_, buffer := l.cfg.Limiter.share()
	r := &run[P]{lister: l, prefix: prefix, upto: upto, plan: newPlan[P](prefix, after, upto(), buffer), news: make(chan struct{}, 1)}
	r.plan.confirm, r.plan.segments[0].promised = l.cfg.ConfirmEnds, promised
	defer func() {
		cancel()
		r.calls.Wait()
		l.metrics.held.Sub(float64(r.plan.buffer.held))
		r.plan.drop()
	}()
	for {
		page, ok, err := r.take(ctx)
		switch {
		case err != nil:
			return err
		case ok:
			begin := time.Now()
			if !deliver(page) {
				return nil
			}
			r.took(time.Since(begin))
		case r.done():
			return nil
		default:
			select {
			case <-r.news:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// run is one plan in progress.
type run[P paged[P]] struct {
	lister *lister[P]
	prefix string
	upto   func() string // how far the consumer is sure to read now
	calls  sync.WaitGroup
	news   chan struct{} // a tick when a page arrived or err was set

	mu     sync.Mutex
	plan   *plan[P]
	demand demand
	ended  bool
	err    error
}

func (r *run[P]) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// took records how long the consumer took for a page.
func (r *run[P]) took(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.demand.take.add(d)
}

// take returns the next page if it has arrived, and starts as many calls as there is room
// for.
func (r *run[P]) take(ctx context.Context) (page P, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return page, false, ctx.Err()
	case r.plan.seams.torn:
		return page, false, errTorn
	}
	page, ok, r.ended = r.plan.take()
	switch {
	case ok:
		r.lister.metrics.held.Sub(float64(page.Bytes()))
	case r.err != nil: // the pages before it are good
		return page, false, r.err
	}
	if !r.ended && r.err == nil {
		r.fill(ctx)
	}
	return page, ok, nil
}

// fill starts all calls that there is room for; r.mu is held.
func (r *run[P]) fill(ctx context.Context) {
	for c, room := r.next(); room; c, room = r.next() {
		r.start(ctx, c)
	}
}

// next returns a call that there is room for, if there is one; r.mu is held.
func (r *run[P]) next() (call[P], bool) {
	limit, buffer := r.lister.cfg.Limiter.share()
	r.plan.buffer.budget = buffer
	r.plan.narrow(r.upto())
	return r.plan.next(r.demand.limit(limit), r.demand.rate())
}

// start starts a goroutine that makes a call, and further calls as long as there is room
// for them: a new goroutine would have to grow its stack again.
func (r *run[P]) start(ctx context.Context, c call[P]) {
	r.calls.Go(func() {
		for ok := true; ok; {
			begin := time.Now()
			page, more, err := r.lister.fetch(ctx, r.prefix, c.after)
			c, ok = r.arrived(ctx, c, page, more, err, time.Since(begin))
		}
	})
}

// arrived ends a call. It returns the call that its goroutine is to make next, if there is
// room for one, and starts others.
func (r *run[P]) arrived(ctx context.Context, c call[P], page P, more bool, err error, took time.Duration) (next call[P], ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		if err = r.misplaced(page, more, c.after); err != nil {
			release(page)
		}
	}
	if err != nil {
		r.plan.returned(c)
		if r.err == nil {
			r.err = err
		}
	} else {
		r.demand.list.add(took)
		held := r.plan.buffer.held
		r.plan.arrived(c, page, more)
		r.lister.metrics.held.Add(float64(r.plan.buffer.held - held))
		if ctx.Err() == nil && r.err == nil && !r.plan.seams.torn {
			next, ok = r.next()
			r.fill(ctx)
		}
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
	return next, ok
}

// misplaced returns an error if a page does not hold what follows a key; r.mu is held.
func (r *run[P]) misplaced(page P, more bool, after string) error {
	if page.Len() == 0 {
		if more {
			return fmt.Errorf("the store says that keys follow %q but lists none: %w", after, objectstore.ErrBadListing)
		}
		return nil
	}
	if first := r.plan.keys.at(page, 0); first <= after {
		return fmt.Errorf("key %q is listed after %q, out of order: %w", first, after, objectstore.ErrBadListing)
	}
	return nil
}

// fetch gets one page, and retries after transient errors. That is harmless, for the start of
// a page does not change.
func (l *lister[P]) fetch(ctx context.Context, prefix, after string) (page P, more bool, err error) {
	err = l.persist(ctx, func(ctx context.Context) (err error) {
		page, more, err = l.pager.ListPage(ctx, prefix, after)
		return err
	})
	return page, more, err
}

// persist makes a call for a page, and retries it after transient errors.
func (l *lister[P]) persist(ctx context.Context, call func(context.Context) error) error {
	l.cfg.Limiter.inFlight.Add(1)
	defer l.cfg.Limiter.inFlight.Add(-1)
	for failures := 1; ; failures++ {
		epoch := l.cfg.Limiter.epoch()
		err := l.try(ctx, call)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case objectstore.Permanent(err):
			return err
		case errors.Is(err, objectstore.ErrThrottled):
			l.metrics.throttle.Inc()
			l.cfg.Limiter.throttled(epoch)
		}
		if failures >= tries {
			return fmt.Errorf("after %d tries: %w", failures, err)
		}
		l.metrics.retries.Inc()
		l.repeated(err)
		// With full jitter: calls that failed together must not be retried together.
		if slept := pause.For(ctx, rand.N(pause.Bound(firstDelay, maxDelay, failures))); slept != nil {
			return fmt.Errorf("%w: %w", slept, err)
		}
	}
}

// try makes a call once, within its deadline.
func (l *lister[P]) try(ctx context.Context, call func(context.Context) error) error {
	l.metrics.inFlight.Inc()
	defer l.metrics.inFlight.Dec()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	err := call(ctx)
	if err == nil {
		l.cfg.Limiter.success(time.Since(begin))
	}
	return err
}
