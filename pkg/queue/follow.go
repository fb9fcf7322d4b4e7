package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// How covers are followed.
const (
	followPoll  = time.Second            // sleep without a hint
	followEvery = 100 * time.Millisecond // asks at most so often for what is new
	followBatch = 256                    // covers of one answer, at most
	followBytes = 1 << 20                // of one answer, about
)

// follower asks the stream of covers for a batch of messages from a sequence
// number on, again and again. That number is the only state: nothing can be
// lost or overtaken by whatever happens to a server or the connection. Any
// replica may answer, since what one has is always the beginning of what the
// leader has.
type follower struct {
	q       *Queue
	subject string
	answers *nats.Subscription // to inbox.*, where the last token counts requests
	inbox   string
	asked   uint64
	next    uint64    // sequence number of the first message that is wanted
	reached time.Time // when that became it
	f       func(partition.Cover)
}

// extent is how far the stream of covers went at a moment.
type extent struct {
	last  uint64    // sequence number of its newest message
	asked time.Time // before that was asked for
}

// errUndecodable says that a message is no cover; reading it again does not help.
var errUndecodable = errors.New("message cannot be read")

// errRewound says that new covers get the numbers of old ones, and would not be seen.
var errRewound = errors.New("NATS has lost covers that it had acknowledged")

// followCovers calls f with every cover of the subject until ctx ends or it
// cannot go on.
func (q *Queue) followCovers(ctx context.Context, subject string, f func(partition.Cover)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ticks, err := q.hints(ctx, subject)
	if err != nil {
		return err
	}
	inbox := q.nc.NewInbox()
	answers, err := q.nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return err
	}
	defer func() { _ = answers.Unsubscribe() }() // an error says that the connection is closed
	w := &follower{q: q, subject: subject, answers: answers, inbox: inbox, next: 1, f: f}
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	var told time.Time
	for {
		begun := time.Now()
		more, err := w.batch(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (q.nc.IsClosed() || errors.Is(err, errUndecodable) || errors.Is(err, ErrProtocol)):
			return err
		case err != nil:
			q.metrics.retries.WithLabelValues("follow").Inc()
			if begun.Sub(told) >= tellEvery {
				told = begun
				q.log.Warn("following covers tried again", "err", err)
			}
		case more:
			continue
		case w.rewound():
			return errRewound
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticks:
		case <-poll.C:
		}
		// The first hint after a while is followed at once, many together.
		if err := pause.For(ctx, followEvery-time.Since(begun)); err != nil {
			return err
		}
	}
}

// rewound reports whether the stream was seen to end before what had been read of it:
// it was made anew, or its server had not written all to disk when it lost power.
func (w *follower) rewound() bool {
	seen := w.q.covers.Load()
	return seen != nil && seen.asked.After(w.reached) && seen.last+1 < w.next
}

// batch asks once and takes the covers as they arrive. It reports whether more
// are stored already.
func (w *follower) batch(ctx context.Context) (more bool, err error) {
	request, err := json.Marshal(map[string]any{
		"seq": w.next, "next_by_subj": w.subject, "batch": followBatch, "max_bytes": followBytes,
	})
	if err != nil {
		return false, err
	}
	err = w.q.attempt(ctx, attemptTimeout, func(ctx context.Context) error {
		w.asked++
		reply := w.inbox + "." + strconv.FormatUint(w.asked, 10)
		if err := w.q.nc.PublishRequest("$JS.API.DIRECT.GET."+coversStream, reply, request); err != nil {
			return err
		}
		last := "0" // sequence number of the message before, within this answer
		for end := false; !end; {
			msg, err := w.answers.NextMsgWithContext(ctx)
			if err != nil {
				return err
			}
			if msg.Subject != reply {
				continue // the rest of an answer that was given up
			}
			if last, more, end, err = w.take(msg, last); err != nil {
				return err
			}
		}
		return nil
	})
	return more, err
}

// take takes one message of an answer. Each names the one before it, so that
// none can be missing unseen.
func (w *follower) take(msg *nats.Msg, before string) (last string, more, end bool, err error) {
	switch status := msg.Header.Get("Status"); status {
	case "":
	case "204": // the end of the batch
		return before, msg.Header.Get("Nats-Num-Pending") != "0", true, nil
	case "404":
		return before, false, true, nil
	default:
		return "", false, false, fmt.Errorf("read covers from %d on: NATS answered %s %s", w.next, status, msg.Header.Get("Description"))
	}
	if got := msg.Header.Get("Nats-Last-Sequence"); got != before {
		return "", false, false, fmt.Errorf("read covers from %d on: a message after %s is followed by one after %s", w.next, before, got)
	}
	last = msg.Header.Get(jetstream.SequenceHeader)
	seq, err := strconv.ParseUint(last, 10, 64)
	if err != nil || seq < w.next {
		return "", false, false, fmt.Errorf("read covers from %d on: NATS answered with message %q", w.next, last)
	}
	if err := w.q.readable(fmt.Sprintf("cover %d", seq), msg.Header); err != nil {
		return "", false, false, err
	}
	var c partition.Cover
	if err := json.Unmarshal(msg.Data, &c); err != nil {
		return "", false, false, fmt.Errorf("decode cover %d: %w: %w", seq, errUndecodable, err)
	}
	w.next, w.reached = seq+1, time.Now()
	w.f(c)
	return last, false, false, nil
}
