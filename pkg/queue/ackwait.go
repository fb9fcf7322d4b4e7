package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// AckWait is for how long a partition stays with its worker without a heartbeat.
func (q *Queue) AckWait() time.Duration { return q.cfg.AckWait }

// ResetAckWait restarts AckWait of delivered partitions. NATS counts it by the clock of
// its leader, from the last delivery, heartbeat or Nak. If that clock was an hour ahead,
// a dead worker would keep its partition for an hour. A partition that a live worker has
// stays with it, and one that was not delivered stays as it is. Calls must be more than
// AckWait apart, or a dead worker's partition is never delivered again. A reset may be
// lost.
func (q *Queue) ResetAckWait(ctx context.Context, importID string, ids []string) error {
	if err := natsconn.CheckTokens(append(ids[:len(ids):len(ids)], importID)...); err != nil {
		return fmt.Errorf("reset AckWait: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, id := range ids {
		g.Go(func() error { return q.resetAckWait(ctx, workPrefix+"*."+importID+"."+id) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("reset AckWait of partitions of import %s: %w", importID, err)
	}
	return nil
}

// resetAckWait sends what a worker's heartbeat sends, to the subject that a delivery of
// the message has for answers:
// $JS.ACK.<stream>.<consumer>.<deliveries>.<message>.<delivery>.<time>.<pending>.
// Of these numbers a heartbeat uses only that of the message: see processAck and
// progressUpdate in nats-server's consumer.go, 2.15.1.
func (q *Queue) resetAckWait(ctx context.Context, subject string) error {
	msg, err := q.stream.Last(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // acknowledged since
	}
	if err != nil {
		return err
	}
	lane, _, _ := strings.Cut(strings.TrimPrefix(msg.Subject, workPrefix), ".")
	return q.conn.NATS().Publish(fmt.Sprintf("$JS.ACK.%s.%s.1.%d.1.0.0", streamName, Lane(lane).consumer(), msg.Sequence), []byte("+WPI"))
}
