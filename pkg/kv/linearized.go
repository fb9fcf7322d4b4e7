package kv

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// A server that lost its leadership without knowing (it was stopped, or cut off)
// answers reads with what it knew. A stale answer is detected by a write barrier, a
// message that takes a majority to store.

// barrierKey holds no value. It is written to learn how far a bucket is.
const barrierKey = "_"

// linearized returns the message that was the newest of the key at some moment since
// the call, or ErrNotFound if there was none, or a tombstone, which it then removes:
// the process that wrote it may have died before it could.
func (b *bucket) linearized(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	msg, err := b.newest(ctx, key)
	if err == nil && isTombstone(msg) {
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
