package readahead

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sort"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Limits of a walk.
const (
	walkAhead = 8   // pages that are fetched before the consumer takes them
	maxBarren = 100 // pages in a row that bring no new key; a store that sends more goes round in circles
)

// Walk lists all entries with the prefix by one chain of continuation tokens, in pages of at
// least one entry that the caller owns. One LIST is in flight at a time, and pages are
// fetched ahead of the consumer. A sequence that ends without an error is complete: the
// store said that nothing follows, and LISTs behind the end showed nothing (Config.ConfirmEnds).
// After an error it ends.
//
// The errors are those of the pager, with retries as in List.
func (l *lister[P]) Walk(ctx context.Context, prefix string, opts objectstore.ListOptions) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		l.cfg.Limiter.active.Add(1)
		defer l.cfg.Limiter.active.Add(-1)
		for page, err := range l.walk(ctx, prefix, opts.WithDefaults()) {
			if !yield(page, err) {
				return
			}
		}
	}
}

// walk is Walk for a listing that the limiter has counted.
func (l *lister[P]) walk(ctx context.Context, prefix string, opts objectstore.ListOptions) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		w := &walk[P]{
			lister: l, prefix: prefix, passedOver: opts.PassedOver,
			pages: make(chan P, walkAhead), news: make(chan struct{}, 1),
		}
		go func() {
			defer close(w.pages)
			w.err = w.run(ctx)
		}()
		defer func() {
			cancel()
			for page := range w.pages {
				w.take(page)
				release(page)
			}
		}()
		for page := range w.pages {
			w.take(page)
			if !yield(page, nil) {
				return
			}
		}
		if w.err != nil {
			var none P
			yield(none, w.err)
		}
	}
}

// walk is one walk in progress: a goroutine that fetches, and a consumer.
type walk[P paged[P]] struct {
	lister     *lister[P]
	prefix     string
	passedOver func()       // the caller's ListOptions.PassedOver
	pages      chan P       // closed by the goroutine when it ends
	err        error        // why it ended before the last page; set before pages is closed
	held       atomic.Int64 // bytes of pages in the channel
	taken      atomic.Int64 // pages that the consumer took
	begun      time.Time
	news       chan struct{} // a tick after it took one
}

// hold counts a page that goes into the channel, and take a page that has left it.
func (w *walk[P]) hold(page P) {
	n := page.Bytes()
	w.held.Add(int64(n))
	w.lister.metrics.held.Add(float64(n))
}

func (w *walk[P]) take(page P) {
	n := page.Bytes()
	w.held.Add(int64(-n))
	w.lister.metrics.held.Sub(float64(n))
	w.taken.Add(1)
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// once fetches all pages, from the first to the last, and hands over the entries behind a
// key. It returns the last key, "" if there is none, and the number of pages.
func (w *walk[P]) once(ctx context.Context, after string) (last string, pages int, err error) {
	var c chain[P]
	for token := ""; ; {
		if err := w.room(ctx); err != nil {
			return "", 0, err
		}
		page, next, err := w.fetch(ctx, token)
		if err == nil {
			page, err = c.join(page, token, next)
		}
		if err != nil {
			return "", 0, err
		}
		if err := w.put(ctx, w.lister.after(page, after)); err != nil {
			return "", 0, err
		}
		pages++
		if token = next; token == "" {
			return string(c.last()), pages, nil
		}
	}
}

// room waits until another page may be held: no more pages than the consumer has taken, since
// many consumers look at the first page only, and no more bytes than the listing's share.
func (w *walk[P]) room(ctx context.Context) error {
	for {
		held, waiting := int(w.held.Load()), int64(len(w.pages))
		if _, share := w.lister.cfg.Limiter.share(); waiting == 0 || held < share && waiting <= w.taken.Load() {
			return ctx.Err()
		}
		select {
		case <-w.news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// put hands a page to the consumer, unless it is empty.
func (w *walk[P]) put(ctx context.Context, page P) error {
	if page.Len() == 0 {
		release(page)
		w.passedOver()
		return nil
	}
	w.hold(page)
	select {
	case w.pages <- page:
		return nil
	case <-ctx.Done():
		w.take(page)
		release(page)
		return ctx.Err()
	}
}

// fetch gets one page, and retries after transient errors. A token stands for the same page
// however often it is used.
func (w *walk[P]) fetch(ctx context.Context, token string) (page P, next string, err error) {
	err = w.lister.persist(ctx, func(ctx context.Context) (err error) {
		page, next, err = w.lister.pager.WalkPage(ctx, w.prefix, token)
		return err
	})
	return page, next, err
}

// chain checks that the pages of a walk follow each other. The zero chain has
// seen no page.
type chain[P paged[P]] struct {
	barren int    // pages in a row that brought no new key
	text   []byte // the keys of the page before, one after another
	ends   []int  // where each of them ends in text
}

// join returns the entries of the next page that the page before did not hold: some stores
// repeat its last keys. A page that goes back further is out of order.
func (c *chain[P]) join(page P, token, next string) (P, error) {
	fresh, err := c.fresh(page)
	if err != nil {
		release(page)
		return page, err
	}
	c.barren++
	if fresh < page.Len() {
		c.barren = 0
	}
	if next != "" && (c.barren > maxBarren || c.barren > 0 && next == token) {
		release(page)
		return page, fmt.Errorf("the store says again and again that keys follow %q but lists none: %w", c.last(), objectstore.ErrBadListing)
	}
	if page.Len() > 0 {
		c.remember(page)
	}
	return page.Tail(fresh), nil
}

// fresh returns how many entries of a page were in the page before: the index of the first
// new one.
func (c *chain[P]) fresh(page P) (n int, err error) {
	last := c.last()
	var key []byte
	for ; n < page.Len(); n++ {
		if key = page.AppendKey(key[:0], n); bytes.Compare(key, last) > 0 {
			return n, nil
		}
		if i := sort.Search(len(c.ends), func(i int) bool { return bytes.Compare(c.key(i), key) >= 0 }); !bytes.Equal(c.key(i), key) {
			return n, fmt.Errorf("key %q is listed after %q, out of order: %w", key, last, objectstore.ErrBadListing)
		}
	}
	return n, nil
}

// last returns the greatest key so far; no key is empty.
func (c *chain[P]) last() []byte {
	if len(c.ends) == 0 {
		return nil
	}
	return c.key(len(c.ends) - 1)
}

func (c *chain[P]) key(i int) []byte {
	start := 0
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.text[start:c.ends[i]]
}

// remember keeps the keys of a page to compare with the next one. A page that only repeats
// keys ends before the page that it repeats, which is kept.
func (c *chain[P]) remember(page P) {
	if end := page.AppendKey(nil, page.Len()-1); bytes.Compare(end, c.last()) < 0 {
		return
	}
	c.text, c.ends = c.text[:0], c.ends[:0]
	for i := range page.Len() {
		c.text = page.AppendKey(c.text, i)
		c.ends = append(c.ends, len(c.text))
	}
}
