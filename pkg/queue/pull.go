package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// A pull request waits so long for a partition. NATS sends a heartbeat every
// pullHeartbeat; after two missing ones the request is repeated.
const (
	pullWait      = 20 * time.Second
	pullHeartbeat = 2 * time.Second
)

// idlePulls is after how many empty pull requests in a row the consumer is checked: one
// that has messages and delivers none has been seen in the wild.
const idlePulls = 3

// refusedDelay is for how long a partition is not delivered again after a process of
// another version has refused it, so that two of them do not pass it to and fro.
const refusedDelay = 5 * time.Second

// Puller pulls the partitions of one lane. Pull is for one goroutine, the other
// methods for any.
type Puller struct {
	q    *Queue
	lane Lane

	consumer jetstream.Consumer // nil before it is looked up, and after an error
	idle     int                // empty pull requests in a row through consumer

	answered atomic.Bool
	tried    atomic.Pointer[time.Time] // when Pull tried last
}

// Puller returns a puller of the lane.
func (q *Queue) Puller(lane Lane) *Puller {
	p := &Puller{q: q, lane: lane}
	p.tried.Store(new(time.Now()))
	return p
}

// Answered reports whether the queue answered when it was last asked for a partition.
func (p *Puller) Answered() bool { return p.answered.Load() }

// SinceTry returns how long ago Pull tried last to get a partition. While Pull runs
// that is less than half a minute, with and without NATS.
func (p *Puller) SinceTry() time.Duration { return time.Since(*p.tried.Load()) }

// Pull waits for a partition until ctx ends. It survives restarts of NATS, and waits for
// a queue that does not exist yet. A partition that arrives as ctx ends may be returned,
// or delivered again after AckWait. It is natsconn.ErrProtocol for a queue of another
// version, and for a partition of another version, which is given back.
func (p *Puller) Pull(ctx context.Context) (*Task, error) {
	for wait := natsconn.FirstWait; ; wait = min(2*wait, natsconn.LastWait) {
		p.tried.Store(new(time.Now()))
		task, err := p.tryOnce(ctx)
		if task != nil {
			return task, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("pull a partition: %w", ctx.Err())
		}
		if err == nil {
			wait = natsconn.FirstWait
			continue
		}
		p.consumer = nil
		p.answered.Store(false)
		if p.q.conn.NATS.IsClosed() || errors.Is(err, natsconn.ErrProtocol) {
			return nil, fmt.Errorf("pull a partition: %w", err)
		}
		p.q.conn.CountRetry("pull")
		p.q.conn.Log().DebugContext(ctx, "pull tried again", "err", err)
		_ = natsconn.Jitter(ctx, wait) // the loop looks at ctx
	}
}

// tryOnce asks for a partition once. It returns nil if there is none.
func (p *Puller) tryOnce(ctx context.Context) (task *Task, err error) {
	if p.consumer == nil {
		if err := p.q.conn.ObservedAttempt(ctx, "pull", p.bind); err != nil {
			return nil, err
		}
	}
	err = p.q.conn.Attempt(ctx, pullWait, func(ctx context.Context) (err error) {
		task, err = p.fetch(ctx)
		return err
	})
	if task != nil || err != nil {
		p.idle = 0
		return task, err
	}
	if p.idle++; p.idle < idlePulls {
		return nil, nil
	}
	return nil, p.q.conn.Attempt(ctx, natsconn.AttemptTimeout, p.checkStall)
}

// bind looks up the consumer of the lane.
func (p *Puller) bind(ctx context.Context) error {
	stream, err := p.q.conn.JetStream.Stream(ctx, streamName)
	if err != nil {
		return err
	}
	if err := p.q.conn.CheckStream(stream.CachedInfo()); err != nil {
		return err
	}
	if p.consumer, err = stream.Consumer(ctx, p.lane.Consumer()); err != nil {
		return err
	}
	p.idle = 0
	p.answered.Store(true)
	return nil
}

// fetch waits for a partition until ctx, which has a deadline, ends. It returns nil if
// none came.
func (p *Puller) fetch(ctx context.Context) (*Task, error) {
	batch, err := p.consumer.Fetch(1, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(pullHeartbeat))
	if err != nil {
		return nil, err
	}
	for msg := range batch.Messages() {
		return p.q.receive(msg, p.consumer.CachedInfo().Config.AckWait)
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
	if err := q.conn.CheckMessage("partition "+msg.Subject(), msg.Headers()); err != nil {
		return nil, errors.Join(err, msg.NakWithDelay(refusedDelay))
	}
	task := &Task{Deliveries: int(meta.NumDelivered), AckWait: ackWait, Received: time.Now(), q: q, msg: msg}
	task.Trace = tracing.Place{Parent: msg.Headers().Get(tracing.Header), State: msg.Headers().Get(tracing.StateHeader)}
	if err := json.Unmarshal(msg.Data(), &task.Partition); err != nil {
		// No process can read it; a coordinator that misses it publishes it again.
		return nil, errors.Join(fmt.Errorf("decode partition %s: %w", msg.Subject(), err), msg.Term())
	}
	q.deliveries.Inc()
	if task.Deliveries > 1 {
		q.redeliveries.Inc()
	}
	return task, nil
}

// checkStall logs if the consumer had partitions to deliver and delivered none. The
// consumer is looked up again in any case.
func (p *Puller) checkStall(ctx context.Context) error {
	info, err := p.consumer.Info(ctx)
	if err == nil && info.NumPending > 0 {
		p.q.stalls.Inc()
		p.q.conn.Log().WarnContext(ctx, "partitions are pending and none is delivered", "lane", p.lane, "pending", info.NumPending)
	}
	p.consumer = nil
	return err
}
