package kv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// Answers to a write that expects another revision of its key. errUnderWay is that of a
// stream with replicas that is about to store something under the key: a value, perhaps by
// an earlier attempt of the same write, or another process's barrier, which changes nothing.
// A moment later it shows which.
var (
	errOtherRevision = &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequence}
	errUnderWay      = &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamWrongLastSequenceConstant}
)

// write stores one message under the key, at the expected revision; 0 is none.
//
// An attempt may be stored although its answer is lost; the next attempt then conflicts
// with it. The nonce tells: if the stored message has it, the write succeeded. If another
// process has changed the value since, it is a conflict, as if this write came second.
func (b *bucket) write(ctx context.Context, key string, value []byte, header nats.Header, expected uint64) (uint64, error) {
	if err := CheckKey(key); err != nil {
		return 0, err
	}
	nonce := rand.Text()
	var (
		revision  uint64
		ambiguous bool
	)
	err := b.conn.Retry(ctx, "write", func(ctx context.Context) error {
		msg := &nats.Msg{Subject: b.subject(key), Header: b.conn.Header(), Data: value}
		msg.Header.Set(headerNonce, nonce)
		maps.Copy(msg.Header, header)
		ack, err := b.conn.JetStream.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(expected))
		switch {
		case err == nil:
			revision = ack.Sequence
		case errors.Is(err, nats.ErrMaxPayload):
			return natsconn.Final(ErrTooLarge)
		case errors.Is(err, errUnderWay):
			return errors.New("the key is being written or looked at") // err itself would count as permanent
		case !errors.Is(err, errOtherRevision):
			ambiguous = true
		case !ambiguous:
			return natsconn.Final(ErrConflict)
		default:
			revision, err = b.ownWrite(ctx, key, nonce)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, key, err)
	}
	return revision, nil
}

// ownWrite returns the revision of the key if it bears the nonce, or ErrConflict. It
// confirms a conflict by a linearized read, since the caller will assume that nothing
// was written.
func (b *bucket) ownWrite(ctx context.Context, key, nonce string) (uint64, error) {
	for _, read := range []func(context.Context, string) (*jetstream.RawStreamMsg, error){b.last, b.newest} {
		msg, err := read(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		if err == nil && msg.Header.Get(headerNonce) == nonce {
			return msg.Sequence, nil
		}
	}
	return 0, natsconn.Final(ErrConflict)
}

// barrierKey holds no value. A server that lost its leadership without knowing (it was
// stopped, or cut off) answers reads with what it knew. Such an answer is detected by a
// barrier: a message under this key, which takes a majority to store.
const barrierKey = "_"

// linearized returns the message that was the newest of the key at some moment since
// the call, or ErrNotFound if there was none, or a tombstone, which it then removes:
// the process that wrote it may have died before it could.
func (b *bucket) linearized(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	msg, err := b.newest(ctx, key)
	if err == nil && isTombstone(msg) {
		if b.conn.Role() == natsconn.Worker { // which may not purge; a coordinator will, when it looks here
			return nil, ErrNotFound
		}
		if err := b.removeTombstone(ctx, key, msg.Sequence); err != nil {
			return nil, err
		}
		return nil, ErrNotFound
	}
	return msg, err
}

// newest is linearized, but returns tombstones.
func (b *bucket) newest(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	for round := range maxRounds {
		if err := beforeRound(ctx, round); err != nil {
			return nil, err
		}
		msg, err := b.found(ctx, key)
		if err == nil {
			_, err = b.barrier(ctx, jetstream.WithExpectLastSequenceForSubject(msg.Sequence, b.subject(key)))
		}
		if errors.Is(err, ErrConflict) {
			continue // it has changed, or is about to change
		}
		return msg, err
	}
	return nil, fmt.Errorf("it changed %d times", maxRounds)
}

// found is last, except that with ErrNotFound there was no message at some moment since the
// call: to confirm it, found writes a barrier, and believes only a server that has the
// barrier.
//
// The barrier does not expect the key's revision, as that of newest does, for that would
// refuse a concurrent Create of the key.
func (b *bucket) found(ctx context.Context, key string) (msg *jetstream.RawStreamMsg, err error) {
	if msg, err = b.last(ctx, key); !errors.Is(err, ErrNotFound) {
		return msg, err
	}
	barrier, err := b.barrier(ctx)
	if err != nil {
		return nil, err
	}
	err = b.conn.Retry(ctx, "read", func(ctx context.Context) error {
		found, _, err := b.stream.Contents(ctx, b.subject(key), 0)
		switch {
		case err != nil:
			return err
		case found.Last < barrier:
			return natsconn.ErrBehind
		case len(found.Subjects) == 0:
			return natsconn.Final(ErrNotFound)
		}
		msg, err = b.stream.Message(ctx, b.subject(key))
		if errors.Is(err, jetstream.ErrMsgNotFound) { // deleted in between, or another server's answer
			return natsconn.ErrBehind
		}
		return err
	})
	return msg, err
}

// barrier writes the barrier and returns its revision: a server that has it has all
// that was stored before the call. With an expectation it may be ErrConflict.
func (b *bucket) barrier(ctx context.Context, expected ...jetstream.PublishOpt) (revision uint64, err error) {
	err = b.conn.Retry(ctx, "write", func(ctx context.Context) error {
		ack, err := b.conn.JetStream.PublishMsg(ctx, &nats.Msg{Subject: b.subject(barrierKey), Header: b.conn.Header()}, expected...)
		if err == nil {
			revision = ack.Sequence
		} else if errors.Is(err, errOtherRevision) || errors.Is(err, errUnderWay) {
			return natsconn.Final(ErrConflict)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, barrierKey, err)
	}
	return revision, nil
}

// isTombstone reports whether a message says that its key was deleted.
func isTombstone(msg *jetstream.RawStreamMsg) bool { return msg.Header.Get(headerOperation) != "" }

// maxRounds bounds how often a compare-and-swap is tried: each lost round means that
// another process has changed the key.
const maxRounds = 50

// RetryConflicts calls f, which reads a key and writes it at the revision that it had,
// until its error is not ErrConflict, and returns that error. It returns why ctx ended,
// or that f lost too many rounds, with ErrConflict.
func RetryConflicts(ctx context.Context, f func() error) (err error) {
	for round := range maxRounds {
		if err := beforeRound(ctx, round); err != nil {
			return err
		}
		if err = f(); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("lost %d rounds of compare-and-swap: %w", maxRounds, err)
}

// beforeRound waits before a round of a compare-and-swap; rounds count from 0. The first
// rounds follow at once, as the faster process is done. Later ones wait up to a tenth of a
// second: while NATS elects a leader, reads by the old one may be stale. It returns why ctx
// ended.
func beforeRound(ctx context.Context, round int) error {
	const atOnce, atMost = 10, 100 * time.Millisecond
	if round < atOnce {
		return ctx.Err()
	}
	return natsconn.Jitter(ctx, atMost)
}
