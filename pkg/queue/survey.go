package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Survey is what the queue held of all imports at about one moment. It costs a few
// requests, however many imports there are.
type Survey struct {
	Queued      int // partitions that no worker has
	Running     int // partitions that a worker has, or had when it died: NATS notices that only when another worker asks
	Redelivered int // those of Running that were delivered before
	Waiting     int // pull requests of Bulk: workers that wait for a partition

	// Partitions are the IDs of those queued or running, by import.
	Partitions map[string][]string

	// Took is how long the answers took. Attempts that failed do not count: they say
	// nothing of what the next survey costs.
	Took time.Duration
}

// Survey looks at the queue. It is natsconn.ErrMissing if the stream or a consumer did
// not exist for as long as a call takes.
func (q *Queue) Survey(ctx context.Context) (Survey, error) {
	s := Survey{Partitions: make(map[string][]string)}
	for _, lane := range []Lane{Bulk, Express} {
		info, err := q.consumerInfo(ctx, lane, &s.Took)
		if err != nil {
			return Survey{}, fmt.Errorf("look at the work queue: %w", natsconn.Missing(err))
		}
		s.Queued += int(info.NumPending)
		s.Running += info.NumAckPending
		s.Redelivered += info.NumRedelivered
		if lane == Bulk { // Express has slots of its own
			s.Waiting = info.NumWaiting
		}
	}
	found, err := q.stream.Subjects(ctx, workPrefix+">", &s.Took)
	if err != nil {
		return Survey{}, fmt.Errorf("list outstanding partitions: %w", natsconn.Missing(err))
	}
	for subject := range found.Subjects {
		importID, id := partitionOf(subject)
		s.Partitions[importID] = append(s.Partitions[importID], id)
	}
	return s, nil
}

func (q *Queue) consumerInfo(ctx context.Context, lane Lane, took *time.Duration) (info *jetstream.ConsumerInfo, err error) {
	err = q.conn.Retry(ctx, "read", natsconn.Timed(took, func(ctx context.Context) error {
		cons, err := q.conn.JetStream.Consumer(ctx, streamName, lane.Consumer())
		if err == nil {
			info = cons.CachedInfo()
		}
		return err
	}))
	return info, err
}

// Partitions reads partitions of an import that are queued or running, in any order.
// Those that are no longer are left out.
func (q *Queue) Partitions(ctx context.Context, importID string, ids []string) ([]partition.Partition, error) {
	var (
		mu  sync.Mutex
		out []partition.Partition
	)
	err := q.each(ctx, importID, ids, func(ctx context.Context, subject string) error {
		p, err := natsconn.ReadLast[partition.Partition](ctx, q.stream, subject)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		out = append(out, p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read outstanding partitions of import %s: %w", importID, err)
	}
	return out, nil
}

// each calls f with the subject of each partition, in whatever lane. f reads its message;
// jetstream.ErrMsgNotFound is no error.
func (q *Queue) each(ctx context.Context, importID string, ids []string, f func(ctx context.Context, subject string) error) error {
	if err := natsconn.CheckTokens(append(ids[:len(ids):len(ids)], importID)...); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16) // reads at a time
	for _, id := range ids {
		g.Go(func() error {
			err := f(ctx, workPrefix+"*."+importID+"."+id)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return nil // acknowledged since
			}
			return err
		})
	}
	return g.Wait()
}

// OutstandingCount returns how many partitions of an import are queued or running.
func (q *Queue) OutstandingCount(ctx context.Context, importID string) (int, error) {
	var found natsconn.Contents
	err := natsconn.CheckTokens(importID)
	if err == nil {
		found, err = q.stream.Subjects(ctx, workPrefix+"*."+importID+".*", new(time.Duration))
	}
	if err != nil {
		return 0, fmt.Errorf("count outstanding partitions of import %s: %w", importID, err)
	}
	return len(found.Subjects), nil
}
