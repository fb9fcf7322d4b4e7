package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// Lane is one of the lines in which partitions wait. Each is first in, first out, except
// that redeliveries come first.
type Lane string

// The lanes.
const (
	Bulk    Lane = "bulk"    // for partitions that may take long
	Express Lane = "express" // for partitions that take a moment, and must not wait behind the others
)

// Consumer is the name of the lane's consumer.
func (l Lane) Consumer() string {
	if l == Bulk {
		return "workers"
	}
	return string(l)
}

func (l Lane) subject(importID, partitionID string) string {
	return workPrefix + string(l) + "." + importID + "." + partitionID
}

// partitionOf returns the partition of a subject, in whatever lane.
func partitionOf(subject string) (importID, partitionID string) {
	tokens := strings.Split(subject, ".")
	return tokens[len(tokens)-2], tokens[len(tokens)-1]
}

// ErrFull says that the queue holds as many partitions as it takes. It takes more once
// some are acknowledged.
var ErrFull = errors.New("the queue of partitions is full")

// Publish queues a partition at the end of a lane. It does nothing if the ID is queued
// there or running already. It is ErrFull at once if the queue is full. The trace that ctx is in
// goes with the partition, to its Task.
func (q *Queue) Publish(ctx context.Context, lane Lane, p partition.Partition) error {
	if err := natsconn.CheckTokens(p.ImportID, p.ID); err != nil {
		return fmt.Errorf("publish a partition: %w", err)
	}
	data, _ := json.Marshal(p) // strings and flags always encode
	header := q.conn.Header()
	for key, value := range tracing.Here(ctx).Headers() {
		header.Set(key, value)
	}
	err := q.conn.Retry(ctx, "publish", func(ctx context.Context) error {
		_, err := q.conn.JetStream.PublishMsg(ctx, &nats.Msg{Subject: lane.subject(p.ImportID, p.ID), Header: header, Data: data})
		switch {
		case err == nil:
			q.conn.CountPublished("partition")
		case notStored(err, "maximum messages per subject"):
			q.alreadyQueued.Inc()
			return nil
		case notStored(err, "maximum messages exceeded"):
			q.full.Inc()
			return natsconn.Final(ErrFull)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("publish partition %s of import %s: %w", p.ID, p.ImportID, err)
	}
	return nil
}

// notStored recognizes a refusal by its text: its code is that of every error of storing
// a message, such as a full disk.
func notStored(err error, why string) bool {
	const storeFailed = 10077
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == storeFailed && strings.Contains(api.Description, why)
}

// Task is a partition that was delivered to this process. Its methods may be
// called concurrently.
type Task struct {
	Partition  partition.Partition
	Deliveries int           // 1 at the first delivery
	AckWait    time.Duration // without Extend for so long it is delivered to another worker
	Received   time.Time     // when it was delivered
	Trace      tracing.Place // of the import; zero if that is not recorded

	q   *Queue
	msg jetstream.Msg
}

// Ack removes the partition from the queue, and returns once that is durable. Like Extend,
// it does not prove that no other worker has the partition.
func (t *Task) Ack(ctx context.Context) error {
	if err := t.answer(ctx, "+ACK"); err != nil {
		return fmt.Errorf("acknowledge partition %s: %w", t.Partition.ID, err)
	}
	t.q.acks.Inc()
	return nil
}

// Nak gives the partition back, to be delivered again after delay.
func (t *Task) Nak(ctx context.Context, delay time.Duration) error {
	if err := t.answer(ctx, fmt.Sprintf(`-NAK {"delay": %d}`, delay.Nanoseconds())); err != nil {
		return fmt.Errorf("give back partition %s: %w", t.Partition.ID, err)
	}
	return nil
}

// answer sends an acknowledgement of the message until NATS confirms it.
func (t *Task) answer(ctx context.Context, body string) error {
	return t.q.conn.Retry(ctx, "ack", func(ctx context.Context) error {
		_, err := t.q.conn.NATS.RequestWithContext(ctx, t.msg.Reply(), []byte(body))
		return err
	})
}

// Heartbeat is how often to Extend a task: five times in AckWait, which leaves room for
// a NATS cluster to elect a leader.
func (t *Task) Heartbeat() time.Duration { return t.AckWait / 5 }

// Extend restarts AckWait, and returns once NATS has confirmed it. It tries once, for
// Heartbeat: a caller that calls it as often needs no more. Success does not prove that
// no other worker has the partition.
func (t *Task) Extend() error {
	err := t.q.conn.Attempt(context.Background(), min(natsconn.AttemptTimeout, t.Heartbeat()), func(ctx context.Context) error {
		_, err := t.q.conn.NATS.RequestWithContext(ctx, t.msg.Reply(), []byte("+WPI"))
		return err
	})
	if err != nil {
		return fmt.Errorf("extend partition %s: %w", t.Partition.ID, err)
	}
	return nil
}

// AckWait is for how long a partition stays with its worker without a heartbeat.
func (q *Queue) AckWait() time.Duration { return q.cfg.AckWait }

// ResetAckWait restarts AckWait of delivered partitions. NATS counts it by the clock of
// its leader, from the last delivery, heartbeat or Nak. If that clock was an hour ahead,
// a dead worker would keep its partition for an hour. A partition that a live worker has
// stays with it, and one that was not delivered stays as it is. Calls must be more than
// AckWait apart, or a dead worker's partition is never delivered again. A reset may be
// lost.
func (q *Queue) ResetAckWait(ctx context.Context, importID string, ids []string) error {
	err := q.each(ctx, importID, ids, func(ctx context.Context, subject string) error {
		msg, err := q.stream.Last(ctx, subject)
		if err != nil {
			return err
		}
		lane, _, _ := strings.Cut(strings.TrimPrefix(msg.Subject, workPrefix), ".")
		// A worker's heartbeat, to the subject that a delivery of the message has for answers:
		// $JS.ACK.<stream>.<consumer>.<deliveries>.<message>.<delivery>.<time>.<pending>.
		// Of these numbers a heartbeat uses only that of the message: see processAck and
		// progressUpdate in nats-server's consumer.go, 2.15.1.
		return q.conn.NATS.Publish(fmt.Sprintf("$JS.ACK.%s.%s.1.%d.1.0.0", streamName, Lane(lane).Consumer(), msg.Sequence), []byte("+WPI"))
	})
	if err != nil {
		return fmt.Errorf("reset AckWait of partitions of import %s: %w", importID, err)
	}
	return nil
}

// Discard removes all partitions of an import, running ones too. It is for imports that
// have ended.
func (q *Queue) Discard(ctx context.Context, importID string) error {
	err := natsconn.CheckTokens(importID)
	if err == nil {
		err = q.stream.Purge(ctx, "discard", jetstream.WithPurgeSubject(workPrefix+"*."+importID+".*"))
	}
	if err != nil {
		return fmt.Errorf("discard messages of import %s in %s: %w", importID, streamName, err)
	}
	return nil
}
