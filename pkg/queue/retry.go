package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/pause"
)

// Waits between tries grow from the first to the last, with full jitter.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = 2 * time.Second
)

// retry calls f, which must be safe to do twice, until it succeeds, errs for
// good, or the time for a call is over: then it is ErrSilent if NATS does not answer.
// Each try has a deadline of its own.
func (q *Queue) retry(ctx context.Context, op string, f func(context.Context) error) error {
	call, cancel := context.WithTimeout(ctx, q.cfg.timeout(ctx))
	defer cancel()
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		err := q.try(call, op, f)
		if err == nil || permanent(err) {
			return err
		}
		if call.Err() == nil {
			q.metrics.retries.WithLabelValues(op).Inc()
		}
		cause := jittered(call, wait)
		if cause == nil {
			continue
		}
		if ctx.Err() == nil && q.link.up().Err() == nil && !answered(err) {
			cause = ErrSilent
		}
		if errors.Is(err, cause) {
			return err
		}
		return fmt.Errorf("%w: %w", cause, err)
	}
}

// try is one attempt, of which note is taken.
func (q *Queue) try(ctx context.Context, op string, f func(context.Context) error) error {
	begun := time.Now()
	err := q.attempt(ctx, attemptTimeout, f)
	if q.link.tried(begun, time.Now(), err, slices.Contains(proofs, op)) {
		q.log.Warn("nats does not answer", "op", op, "err", err)
	}
	return err
}

// proofs are the operations whose success ends a silence: they take most servers of a
// cluster. So does the lead of a consumer, which a worker without work looks up only
// once its pull request was not answered.
var proofs = []string{"publish", "cover", "write", "pull"}

// timed is f, which adds to took for how long it ran once it succeeds.
func timed(took *time.Duration, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		begun := time.Now()
		err := f(ctx)
		if err == nil {
			*took += time.Since(begun)
		}
		return err
	}
}

// attempt calls f once, with a deadline. It gives up as soon as the connection is
// lost: whatever answer was on its way will not come.
func (q *Queue) attempt(ctx context.Context, timeout time.Duration, f func(context.Context) error) error {
	try, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(q.link.up(), cancel)()
	err := f(try)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return nats.ErrDisconnected
	}
	return err
}

// jittered waits up to d, at random, or returns why ctx ended.
func jittered(ctx context.Context, d time.Duration) error { return pause.For(ctx, rand.N(d)+1) }

// permanent reports whether the same call will get the same error, as far as
// can be told. A missing stream or consumer is not: a coordinator makes it. Nor is
// a cluster that lacks servers.
func permanent(err error) bool {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		return false
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrFull), errors.Is(err, ErrProtocol), errors.Is(err, ErrTooLarge), errors.Is(err, jetstream.ErrMsgNotFound):
		return true
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrMaxPayload):
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 400 && api.Code < 500 && api.ErrorCode != noPeers
}

// noPeers is what a cluster answers of which too few servers are there yet.
const noPeers = 10005

// patienceKey is that of Within in a context.
type patienceKey struct{}

// Within returns a context with which a call takes at most d with all its tries, if
// that is less than Config.Timeout. It bounds each call that waits for NATS, not what is
// done between them.
func Within(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}

// timeout is how long a call with ctx may take.
func (c Config) timeout(ctx context.Context) time.Duration {
	if d, ok := ctx.Value(patienceKey{}).(time.Duration); ok {
		return min(d, c.Timeout)
	}
	return c.Timeout
}
