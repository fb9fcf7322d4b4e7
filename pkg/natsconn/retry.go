package natsconn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/pause"
)

// opPull is the operation that waits for a partition.
const opPull = "pull"

// Waits between attempts grow from FirstWait to LastWait, with full jitter.
const (
	FirstWait = 50 * time.Millisecond
	LastWait  = 2 * time.Second
)

// ErrBehind says that a server answered that does not have the last messages of a
// stream: it led it until a moment ago, or has just begun to. A later attempt sees them.
var ErrBehind = errors.New("a server answers that does not know the latest yet")

// ErrMissing says that a stream or a consumer does not exist, although the fleet has
// created it: NATS has lost it. What it held is gone; it can be created anew.
var ErrMissing = errors.New("NATS has lost a part of the queue")

// Missing adds ErrMissing to an error of a stream or consumer that does not exist.
func Missing(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return err
}

// finalError is an error that would occur again in every attempt.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// Final marks an error that would occur again in every attempt: Retry returns it at once,
// unwrapped.
func Final(err error) error { return finalError{err} }

// Retry calls f, which must be safe to do twice, until it succeeds, its error is
// permanent, NATS denies a permission, or the time for a call is over. Then the error is ErrUnresponsive if NATS
// is reached and does not respond. Each attempt has a deadline of its own.
// Retries are counted under op, the operation.
func (c *Conn) Retry(ctx context.Context, op string, f func(context.Context) error) error {
	call, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	for wait := FirstWait; ; wait = min(2*wait, LastWait) {
		begun := time.Now()
		err := c.ObservedAttempt(call, op, f)
		if denied := c.link.deniedSince(begun); denied != nil && errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("NATS denies what this process needs: %w", denied) // so that no answer came
		}
		var final finalError
		if errors.As(err, &final) {
			return final.error
		}
		if err == nil || permanent(err) {
			return err
		}
		if call.Err() == nil {
			c.CountRetry(op)
		}
		cause := Jitter(call, wait)
		if cause == nil {
			continue
		}
		if ctx.Err() == nil && c.link.up().Err() == nil && !answered(err) {
			cause = ErrUnresponsive
		}
		if errors.Is(err, cause) {
			return err
		}
		return fmt.Errorf("%w: %w", cause, err)
	}
}

// CountRetry counts a retry of an operation by the caller's own loop.
func (c *Conn) CountRetry(op string) { c.metrics.retries.WithLabelValues(op).Inc() }

// CountPublished counts a message of a kind that was stored.
func (c *Conn) CountPublished(kind string) { c.metrics.published.WithLabelValues(kind).Inc() }

// ObservedAttempt is Attempt with AttemptTimeout, whose outcome the outage detector observes.
func (c *Conn) ObservedAttempt(ctx context.Context, op string, f func(context.Context) error) error {
	begun := time.Now()
	err := c.Attempt(ctx, AttemptTimeout, f)
	now := time.Now()
	c.link.attempted(op, begun, now, err)
	if op != opPull {
		c.metrics.calls.Observe(now.Sub(begun).Seconds())
	}
	return err
}

// Attempt calls f once, with a deadline. It gives up as soon as the connection is
// lost: whatever answer was on its way will not come.
func (c *Conn) Attempt(ctx context.Context, timeout time.Duration, f func(context.Context) error) error {
	attempt, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(c.link.up(), cancel)()
	err := f(attempt)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return nats.ErrDisconnected
	}
	return err
}

// Timed returns f with a stopwatch: it adds to took how long a successful call took.
func Timed(took *time.Duration, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		begun := time.Now()
		err := f(ctx)
		if err == nil {
			*took += time.Since(begun)
		}
		return err
	}
}

// Jitter waits up to d, at random, or returns why ctx ended.
func Jitter(ctx context.Context, d time.Duration) error { return pause.For(ctx, rand.N(d)+1) }

// permanent reports whether the same call will get the same error, as far as can be
// told. A missing stream or consumer is not permanent: a coordinator creates it. Nor
// is a cluster that lacks servers.
func permanent(err error) bool {
	var final finalError
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		return false
	case errors.As(err, &final), errors.Is(err, ErrProtocol), errors.Is(err, jetstream.ErrMsgNotFound):
		return true
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrMaxPayload):
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 400 && api.Code < 500 && api.ErrorCode != noPeers
}
