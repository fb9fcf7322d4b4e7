package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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

// refusedDelay is for how long nobody is given a partition that a process of
// another version has refused, so that the two do not pass it to and fro.
const refusedDelay = 5 * time.Second

// Puller pulls the partitions of one lane. Pull is for one goroutine, the other
// methods for any.
type Puller struct {
	q    *Queue
	lane Lane

	consumer jetstream.Consumer // nil before it is looked up, and after an error
	idle     int                // empty pull requests in a row through consumer

	bound  atomic.Bool
	turned atomic.Int64 // nanoseconds since the queue was connected
}

// Puller returns a puller of the lane.
func (q *Queue) Puller(lane Lane) *Puller {
	p := &Puller{q: q, lane: lane}
	p.turned.Store(int64(time.Since(q.begun)))
	return p
}

// Bound reports whether the queue answered when it was last asked for a
// partition.
func (p *Puller) Bound() bool { return p.bound.Load() }

// Turned returns for how long Pull has not come round. While Pull runs it does
// so within half a minute, with and without NATS.
func (p *Puller) Turned() time.Duration {
	return time.Since(p.q.begun) - time.Duration(p.turned.Load())
}

// Pull waits for a partition until ctx ends. It outlives restarts of NATS, and
// waits for a queue that was not made yet. A partition that arrives as ctx ends
// may be returned, or delivered again after AckWait. One that another version
// made is ErrProtocol, and given back; so is a queue of another version.
func (p *Puller) Pull(ctx context.Context) (*Task, error) {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		p.turned.Store(int64(time.Since(p.q.begun)))
		task, err := p.turn(ctx)
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
		p.consumer = nil
		p.bound.Store(false)
		if p.q.nc.IsClosed() || errors.Is(err, ErrProtocol) {
			return nil, fmt.Errorf("pull a partition: %w", err)
		}
		p.q.metrics.retries.WithLabelValues("pull").Inc()
		p.q.log.Debug("pull tried again", "err", err)
		_ = jittered(ctx, wait) // the loop looks at ctx
	}
}

// turn asks for a partition once. Without one it returns nil.
func (p *Puller) turn(ctx context.Context) (task *Task, err error) {
	if p.consumer == nil {
		if err := p.q.try(ctx, "pull", p.bind); err != nil {
			return nil, err
		}
	}
	err = p.q.attempt(ctx, pullWait, func(ctx context.Context) (err error) {
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
	return nil, p.q.attempt(ctx, attemptTimeout, p.checkStall)
}

// bind looks up the consumer of the lane.
func (p *Puller) bind(ctx context.Context) error {
	stream, err := p.q.js.Stream(ctx, workStream)
	if err != nil {
		return err
	}
	if err := p.q.agree(stream.CachedInfo()); err != nil {
		return err
	}
	if p.consumer, err = stream.Consumer(ctx, p.lane.consumer()); err != nil {
		return err
	}
	p.idle = 0
	p.bound.Store(true)
	return nil
}

// fetch waits for a partition until ctx, which has a deadline, ends. Without one
// it returns nil.
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
	if err := q.readable("partition "+msg.Subject(), msg.Headers()); err != nil {
		return nil, errors.Join(err, msg.NakWithDelay(refusedDelay))
	}
	task := &Task{Deliveries: int(meta.NumDelivered), AckWait: ackWait, Received: time.Now(), q: q, msg: msg}
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

// checkStall tells if there was something to deliver all the while. The consumer
// is looked up anew in any case.
func (p *Puller) checkStall(ctx context.Context) error {
	info, err := p.consumer.Info(ctx)
	if err == nil && info.NumPending > 0 {
		p.q.metrics.stalls.Inc()
		p.q.log.Warn("partitions are pending and none is delivered", "lane", p.lane, "pending", info.NumPending)
	}
	p.consumer = nil
	return err
}
