package covers

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
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// How covers are followed.
const (
	followPoll  = time.Second            // waits so long without a hint
	followEvery = 100 * time.Millisecond // asks for new covers at most so often
	followBatch = 256                    // covers of one answer, at most
	followBytes = 1 << 20                // of one answer, about
	logEvery    = 10 * time.Second       // logs at most so often that reading failed
)

// Follow calls f with each cover of an import, from the first one, in the order in
// which they were stored, and exactly once each; then with new ones as they arrive,
// until ctx ends. It survives restarts of NATS, and always returns an error: that of
// ctx, or why it cannot go on, such as natsconn.ErrProtocol, or that NATS has lost covers
// that f was called with, as far as Counts of this Log shows it. The caller may then
// follow them from the first one again. f is called by one goroutine at a time, and
// covers wait while it runs.
func (l *Log) Follow(ctx context.Context, importID string, f func(partition.Cover)) error {
	if err := natsconn.CheckTokens(importID); err != nil {
		return fmt.Errorf("follow covers: %w", err)
	}
	w := &follower{log: l, importID: importID, subject: coverPrefix + importID + ".*", next: 1, f: f}
	return fmt.Errorf("follow covers of import %s: %w", importID, w.run(ctx))
}

// follower reads batches of messages of the log from a sequence number on. That number
// is its only state: whatever happens to a server or the connection, no cover is lost
// or reordered. Any replica may answer, since what one has is always a prefix of what
// the leader has.
type follower struct {
	log      *Log
	importID string
	subject  string
	answers  *nats.Subscription // to inbox.*, where the last token counts requests
	inbox    string
	asked    uint64
	next     uint64    // sequence number of the first message to read
	reached  time.Time // when next was set
	logged   time.Time // when a failed batch was logged last
	f        func(partition.Cover)
}

// extent is how far the log went at a moment.
type extent struct {
	last  uint64    // sequence number of its newest message
	asked time.Time // before that was read
}

// errUndecodable says that a message is no cover; reading it again does not help.
var errUndecodable = errors.New("message cannot be read")

// errRewound says that new covers get the numbers of old ones, and would not be seen.
var errRewound = errors.New("NATS has lost covers that it had acknowledged")

// run reads covers until ctx ends or it cannot go on.
func (w *follower) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hints, err := w.log.conn.Hints(ctx, w.subject)
	if err != nil {
		return err
	}
	nc := w.log.conn.NATS
	w.inbox = nc.NewInbox()
	if w.answers, err = nc.SubscribeSync(w.inbox + ".*"); err != nil {
		return err
	}
	defer func() { _ = w.answers.Unsubscribe() }() // an error says that the connection is closed
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	for {
		begun := time.Now()
		more, err := w.batch(ctx)
		if reason := w.giveUp(ctx, err); reason != nil {
			return reason
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-hints:
		case <-poll.C:
		}
		// After a hint the next batch is read soon, and holds many covers.
		if err := pause.For(ctx, followEvery-time.Since(begun)); err != nil {
			return err
		}
	}
}

// giveUp returns why to stop following after a batch that ended with err, or nil: then it
// logs err at times.
func (w *follower) giveUp(ctx context.Context, err error) error {
	conn := w.log.conn
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && w.rewound():
		return errRewound
	case err == nil:
		return nil
	case conn.NATS.IsClosed() || errors.Is(err, errUndecodable) || errors.Is(err, natsconn.ErrProtocol):
		return err
	}
	conn.CountRetry("follow")
	if now := time.Now(); now.Sub(w.logged) >= logEvery {
		w.logged = now
		conn.Log().WarnContext(ctx, "following covers tried again", "import_id", w.importID, "err", err)
	}
	return nil
}

// rewound reports whether the log was seen to end before what had been read of it: its
// stream was created anew, or the server lost power before it had written all to disk.
func (w *follower) rewound() bool {
	seen := w.log.extent.Load()
	return seen != nil && seen.asked.After(w.reached) && seen.last+1 < w.next
}

// batch sends one request and takes the covers as they arrive. It reports whether more
// are stored already.
func (w *follower) batch(ctx context.Context) (more bool, err error) {
	request, err := json.Marshal(map[string]any{
		"seq": w.next, "next_by_subj": w.subject, "batch": followBatch, "max_bytes": followBytes,
	})
	if err != nil {
		return false, err
	}
	err = w.log.conn.Attempt(ctx, natsconn.AttemptTimeout, func(ctx context.Context) error {
		w.asked++
		reply := w.inbox + "." + strconv.FormatUint(w.asked, 10)
		if err := w.log.conn.NATS.PublishRequest("$JS.API.DIRECT.GET."+streamName, reply, request); err != nil {
			return err
		}
		last := "0" // sequence number of the message before, within this answer
		for {
			msg, err := w.answers.NextMsgWithContext(ctx)
			if err != nil {
				return err
			}
			if msg.Subject != reply {
				continue // the rest of an answer to an earlier request
			}
			switch status := msg.Header.Get("Status"); status {
			case "":
				if last, err = w.take(msg, last); err != nil {
					return err
				}
			case "204": // the end of the batch
				more = msg.Header.Get("Nats-Num-Pending") != "0"
				return nil
			case "404": // no messages
				return nil
			default:
				return fmt.Errorf("NATS answered %s %s", status, msg.Header.Get("Description"))
			}
		}
	})
	if err != nil {
		return false, fmt.Errorf("read covers from %d on: %w", w.next, err)
	}
	return more, nil
}

// take takes in a cover, and returns its sequence number. Each message names the one
// before it, so that a missing one is noticed.
func (w *follower) take(msg *nats.Msg, before string) (last string, err error) {
	if got := msg.Header.Get("Nats-Last-Sequence"); got != before {
		return "", fmt.Errorf("message %s is followed by the one after %s", before, got)
	}
	last = msg.Header.Get(jetstream.SequenceHeader)
	seq, err := strconv.ParseUint(last, 10, 64)
	if err != nil || seq < w.next {
		return "", fmt.Errorf("NATS answered with message %q", last)
	}
	if err := w.log.conn.CheckMessage(fmt.Sprintf("cover %d", seq), msg.Header); err != nil {
		return "", err
	}
	var c partition.Cover
	if err := json.Unmarshal(msg.Data, &c); err != nil {
		return "", fmt.Errorf("decode cover %d: %w: %w", seq, errUndecodable, err)
	}
	w.next, w.reached = seq+1, time.Now()
	w.f(c)
	return last, nil
}
