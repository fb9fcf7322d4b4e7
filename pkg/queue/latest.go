package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A server that lost its lead and has not heard of it (it was stopped, or cut
// off) answers reads with what it knew. What it answers is told from the latest by a
// mark, a message that takes a majority to store.

// markKey holds no value. It is written to learn how far a bucket is.
const markKey = "_"

// maxMarks bounds how often a value is read because it had changed before that
// could be made sure.
const maxMarks = 50

// errBehind says that a server answered that does not have the bucket's last
// messages: one that led until a moment ago, or that leads since a moment ago.
var errBehind = errors.New("a server answers that does not know the latest yet")

func (b *bucket) Latest(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := CheckKey(key); err != nil {
		return nil, 0, err
	}
	msg, err := b.latest(ctx, key)
	return b.value(key, msg, err)
}

// latest returns the message that was the newest of the key at some moment since
// the call, or ErrNotFound if there was none, or one that marks it as deleted.
func (b *bucket) latest(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	msg, err := b.newest(ctx, key)
	if err == nil && deleted(msg) {
		return nil, b.finishDelete(ctx, key, msg.Sequence)
	}
	return msg, err
}

// newest is latest, of a deleted key the mark of that.
func (b *bucket) newest(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	for round := range maxMarks {
		if err := beforeRound(ctx, round); err != nil {
			return nil, err
		}
		msg, err := b.last(ctx, key)
		if errors.Is(err, ErrNotFound) {
			msg, err = b.present(ctx, key)
		}
		if err == nil {
			_, err = b.mark(ctx, jetstream.WithExpectLastSequenceForSubject(msg.Sequence, b.subject(key)))
		}
		if errors.Is(err, ErrConflict) {
			continue // it has changed, or somebody is about to change it
		}
		return msg, err
	}
	return nil, fmt.Errorf("it changed %d times", maxMarks)
}

// present looks for a message of a key that none was found of, and answers
// ErrNotFound only if there was none at some moment since the call: only a server
// that has a mark which is written now is believed.
//
// It does not make sure by the key's revision, as latest does, for while that is
// looked at, somebody's Create of the key would be refused.
func (b *bucket) present(ctx context.Context, key string) (msg *jetstream.RawStreamMsg, err error) {
	mark, err := b.mark(ctx)
	if err != nil {
		return nil, err
	}
	err = b.q.retry(ctx, "read", func(ctx context.Context) error {
		info, err := b.q.streamInfo(ctx, bucketStream+b.name, b.subject(key), 0)
		switch {
		case err != nil:
			return err
		case info.State.Last < mark:
			return errBehind
		case len(info.State.Subjects) == 0:
			return ErrNotFound
		}
		stream, err := b.q.stream(ctx, bucketStream+b.name)
		if err != nil {
			return err
		}
		msg, err = stream.GetLastMsgForSubject(ctx, b.subject(key))
		if errors.Is(err, jetstream.ErrMsgNotFound) { // deleted in between, or another server's answer
			return errBehind
		}
		return err
	})
	return msg, err
}

// mark writes the mark and returns its revision: whoever knows it knows all that was
// stored before the call. With an expectation it may be ErrConflict.
func (b *bucket) mark(ctx context.Context, expected ...jetstream.PublishOpt) (revision uint64, err error) {
	err = b.q.retry(ctx, "write", func(ctx context.Context) error {
		ack, err := b.q.js.PublishMsg(ctx, &nats.Msg{Subject: b.subject(markKey), Header: b.q.header()}, expected...)
		if err == nil {
			revision = ack.Sequence
		} else if isConflict(err) {
			return ErrConflict
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, markKey, err)
	}
	return revision, nil
}

// finishDelete takes away the mark of a deletion, whose process may have died
// before it did so, and answers ErrNotFound.
func (b *bucket) finishDelete(ctx context.Context, key string, revision uint64) error {
	if err := b.purge(ctx, key, revision); err != nil {
		return err
	}
	return ErrNotFound
}

func deleted(msg *jetstream.RawStreamMsg) bool { return msg.Header.Get(headerOperation) != "" }
