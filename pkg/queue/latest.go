package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markKey holds no value. It is written to learn how far a bucket is.
const markKey = "_"

// errBehind says that a server answered that did not have the bucket's last
// messages: one that led until a moment ago, or that leads since a moment ago.
var errBehind = errors.New("a server answers that does not know the latest yet")

// surely looks for the value of a key that was not found, and answers
// ErrNotFound only if there was none at some moment since the call.
//
// A server that lost its lead and has not heard of it (it was stopped, or cut
// off) answers reads with what it knew, so it finds nothing under a key that was
// made since. Whoever is told so would give up: tell a user that his import does not
// exist, or drop what belongs to it. Hence a mark is written, which takes a
// majority, and only a server that has the mark is believed.
func (b *bucket) surely(ctx context.Context, key string) (msg *jetstream.RawStreamMsg, err error) {
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

// mark writes the mark and returns its revision: what had a smaller one before the
// call is known to whoever knows it.
func (b *bucket) mark(ctx context.Context) (revision uint64, err error) {
	err = b.q.retry(ctx, "write", func(ctx context.Context) error {
		ack, err := b.q.js.PublishMsg(ctx, &nats.Msg{Subject: b.subject(markKey), Header: b.q.header()})
		if err == nil {
			revision = ack.Sequence
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s/%s: %w", b.name, markKey, err)
	}
	return revision, nil
}
