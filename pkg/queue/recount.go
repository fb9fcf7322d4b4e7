package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// AckWait is for how long a partition is its worker's without a heartbeat.
func (q *Queue) AckWait() time.Duration { return q.cfg.AckWait }

// Recount has NATS count AckWait of partitions anew, from now. NATS counts by the time
// at which the server that led delivered one, or got a heartbeat or a Nak of it: if its
// clock was an hour ahead then, nobody else would be given it for an hour. Whoever has a
// partition keeps it, and one that nobody was given yet stays as it is. So it does no
// harm, if there is longer than AckWait between two times. It may be lost.
func (q *Queue) Recount(ctx context.Context, importID string, ids []string) error {
	if err := checkTokens(append(ids[:len(ids):len(ids)], importID)...); err != nil {
		return fmt.Errorf("count anew: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, id := range ids {
		g.Go(func() error { return q.recount(ctx, workPrefix+"*."+importID+"."+id) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("count anew for how long partitions of import %s are somebody's: %w", importID, err)
	}
	return nil
}

// recount sends what a worker's heartbeat sends, to the subject that a delivery of the
// message has for answers: $JS.ACK.<stream>.<consumer>.<deliveries>.<message>.<delivery>.<time>.<pending>.
// Of these numbers a heartbeat only takes that of the message: processAck and progressUpdate in
// nats-server's consumer.go, 2.15.1.
func (q *Queue) recount(ctx context.Context, subject string) error {
	msg, err := q.lastMessage(ctx, workStream, subject)
	if errors.Is(err, ErrNotFound) {
		return nil // acknowledged since
	}
	if err != nil {
		return err
	}
	lane, _, _ := strings.Cut(strings.TrimPrefix(msg.Subject, workPrefix), ".")
	return q.nc.Publish(fmt.Sprintf("$JS.ACK.%s.%s.1.%d.1.0.0", workStream, Lane(lane).consumer(), msg.Sequence), []byte("+WPI"))
}
