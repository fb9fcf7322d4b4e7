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

// ResetAckWait restarts AckWait of partitions that were delivered, from now. NATS
// measures it from when its leader delivered one, or got a heartbeat or a Nak, by the
// leader's clock: if that was an hour ahead, no other worker would get the partition for
// an hour. A worker that has a partition keeps it, and one that was not delivered yet
// stays as it is. So calls do no harm that are more than AckWait apart. A reset may be
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
