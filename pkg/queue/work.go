package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// A pull request waits so long for a partition. NATS sends a sign of life every
// pullHeartbeat, and after two that are missing the request is made anew.
const (
	pullWait      = 20 * time.Second
	pullHeartbeat = 2 * time.Second
)

// idlePulls is after how many empty pull requests in a row the consumer is
// looked at: one that has messages and delivers none has been seen in the wild.
const idlePulls = 3

// readers is how many partitions are read at a time.
const readers = 16

// Publish queues a partition. Publishing one whose ID is queued or running
// already does nothing.
func (q *Queue) Publish(ctx context.Context, p partition.Partition) error {
	if err := checkTokens(p.ImportID, p.ID); err != nil {
		return fmt.Errorf("publish a partition: %w", err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode partition %s: %w", p.ID, err)
	}
	err = q.retry(ctx, "publish", func(ctx context.Context) error {
		_, err := q.js.Publish(ctx, workPrefix+p.ImportID+"."+p.ID, data)
		if alreadyQueued(err) {
			q.metrics.queued.Inc()
			return nil
		}
		if err == nil {
			q.metrics.published.WithLabelValues("partition").Inc()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("publish partition %s of import %s: %w", p.ID, p.ImportID, err)
	}
	return nil
}

// alreadyQueued tells the one refusal that is none. Its code is that of every
// error of storing a message, a full disk among them, so the text decides.
func alreadyQueued(err error) bool {
	const storeFailed = 10077
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == storeFailed &&
		strings.Contains(api.Description, "maximum messages per subject")
}

// Task is a partition that was delivered to this process. Its methods may be
// called concurrently.
type Task struct {
	Partition  partition.Partition
	Deliveries int           // 1 at the first delivery
	AckWait    time.Duration // without Extend for so long it is delivered to somebody else

	q   *Queue
	msg jetstream.Msg
}

// Pull waits for a partition until ctx ends. It outlives restarts of NATS, and
// waits for a queue that was not made yet. A partition that arrives as ctx ends
// may be returned, or delivered again after AckWait.
func (q *Queue) Pull(ctx context.Context) (*Task, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		task, err := q.pullOnce(ctx)
		if task != nil {
			return task, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("pull a partition: %w", ctx.Err())
		}
		if err == nil {
			wait = firstWait
			continue
		}
		if q.nc.IsClosed() {
			return nil, fmt.Errorf("pull a partition: %w", err)
		}
		q.metrics.retries.WithLabelValues("pull").Inc()
		q.log.Debug("pull tried again", "error", err)
		_ = pause(ctx, wait) // the loop looks at ctx
	}
}

// pullOnce asks for a partition a few times through one handle of the consumer.
// Without one it returns nil.
func (q *Queue) pullOnce(ctx context.Context) (task *Task, err error) {
	var cons jetstream.Consumer
	err = q.attempt(ctx, attemptTimeout, func(ctx context.Context) (err error) {
		cons, err = q.js.Consumer(ctx, workStream, workConsumer)
		return err
	})
	if err != nil {
		return nil, err
	}
	for range idlePulls {
		err := q.attempt(ctx, pullWait, func(ctx context.Context) (err error) {
			task, err = q.fetch(ctx, cons)
			return err
		})
		if task != nil || err != nil {
			return task, err
		}
	}
	return nil, q.attempt(ctx, attemptTimeout, func(ctx context.Context) error { return q.checkStall(ctx, cons) })
}

// fetch waits for a partition until ctx, which has a deadline, ends. Without one
// it returns nil.
func (q *Queue) fetch(ctx context.Context, cons jetstream.Consumer) (*Task, error) {
	batch, err := cons.Fetch(1, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(pullHeartbeat))
	if err != nil {
		return nil, err
	}
	for msg := range batch.Messages() {
		return q.receive(msg, cons.CachedInfo().Config.AckWait)
	}
	if err := batch.Error(); !errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	return nil, nil
}

func (q *Queue) receive(msg jetstream.Msg, ackWait time.Duration) (*Task, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	task := &Task{Deliveries: int(meta.NumDelivered), AckWait: ackWait, q: q, msg: msg}
	if err := json.Unmarshal(msg.Data(), &task.Partition); err != nil {
		// Nobody will ever read it; whoever needs it publishes it again.
		return nil, errors.Join(fmt.Errorf("decode partition %s: %w", msg.Subject(), err), msg.Term())
	}
	q.metrics.deliveries.Inc()
	if task.Deliveries > 1 {
		q.metrics.redeliveries.Inc()
	}
	return task, nil
}

// checkStall tells if there was something to deliver all the while.
func (q *Queue) checkStall(ctx context.Context, cons jetstream.Consumer) error {
	info, err := cons.Info(ctx)
	if err == nil && info.NumPending > 0 {
		q.metrics.stalls.Inc()
		q.log.Warn("partitions are pending and none is delivered", "pending", info.NumPending)
	}
	return err
}

// Ack removes the partition from the queue, and returns once that is durable.
func (t *Task) Ack(ctx context.Context) error {
	if err := t.answer(ctx, "+ACK"); err != nil {
		return fmt.Errorf("acknowledge partition %s: %w", t.Partition.ID, err)
	}
	t.q.metrics.acks.Inc()
	return nil
}

// Nak gives the partition back, to be delivered again after delay.
func (t *Task) Nak(ctx context.Context, delay time.Duration) error {
	if err := t.answer(ctx, fmt.Sprintf(`-NAK {"delay": %d}`, delay.Nanoseconds())); err != nil {
		return fmt.Errorf("give back partition %s: %w", t.Partition.ID, err)
	}
	return nil
}

// answer sends what is to become of the message until NATS confirms it.
func (t *Task) answer(ctx context.Context, body string) error {
	return t.q.retry(ctx, "ack", func(ctx context.Context) error {
		_, err := t.q.nc.RequestWithContext(ctx, t.msg.Reply(), []byte(body))
		return err
	})
}

// Extend starts AckWait anew, and returns once NATS has confirmed it. It tries
// once: a caller that calls it every AckWait/4 has tries enough. Success does
// not show that nobody else works on the partition.
func (t *Task) Extend() error {
	err := t.q.attempt(context.Background(), min(attemptTimeout, t.AckWait/2), func(ctx context.Context) error {
		_, err := t.q.nc.RequestWithContext(ctx, t.msg.Reply(), []byte("+WPI"))
		return err
	})
	if err != nil {
		return fmt.Errorf("extend partition %s: %w", t.Partition.ID, err)
	}
	return nil
}

// Hungry reports whether somebody waits for a partition and none is pending.
func (q *Queue) Hungry(ctx context.Context) (bool, error) {
	info, err := q.consumerInfo(ctx)
	if err != nil {
		return false, fmt.Errorf("look at the work queue: %w", err)
	}
	return info.NumWaiting > 0 && info.NumPending == 0, nil
}

// Discard removes all partitions and covers of an import, running ones too. It
// is for imports that have ended.
func (q *Queue) Discard(ctx context.Context, importID string) error {
	if err := checkTokens(importID); err != nil {
		return fmt.Errorf("discard an import's messages: %w", err)
	}
	for _, s := range []struct{ stream, prefix string }{{workStream, workPrefix}, {coversStream, coversPrefix}} {
		err := q.retry(ctx, "discard", func(ctx context.Context) error {
			stream, err := q.stream(ctx, s.stream)
			if err != nil {
				return err
			}
			return stream.Purge(ctx, jetstream.WithPurgeSubject(s.prefix+importID+".*"))
		})
		if err != nil {
			return fmt.Errorf("discard messages of import %s in %s: %w", importID, s.stream, err)
		}
	}
	return nil
}
