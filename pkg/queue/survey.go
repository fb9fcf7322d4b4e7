package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Survey is what the streams held of all imports at about one moment. It costs a
// few requests, however many imports there are.
type Survey struct {
	Queued      int // partitions that nobody works on
	Running     int // partitions that somebody works on, or is taken to
	Redelivered int // of the running ones, those that were delivered before
	Waiting     int // pull requests of Bulk: workers that wait for a partition

	// Partitions are the IDs of those queued or running, by import.
	Partitions map[string][]string
	// Covers is how many are stored, by import; 0 if only tries were noted of it.
	// They were counted after the partitions: of a partition that is missing above
	// all covers are counted.
	Covers map[string]uint64

	// Took is how long the answers took. What was asked in vain, and asked again,
	// does not count: it says nothing of what the next survey costs.
	Took time.Duration
}

// ErrMissing says that a stream or a consumer is not there; see Restore.
var ErrMissing = errors.New("NATS has lost a part of the queue")

// Survey looks at the streams. Those who follow covers learn from it if NATS has lost
// some that they had. It is ErrMissing if a stream or a consumer was missing for as long
// as a call takes.
func (q *Queue) Survey(ctx context.Context) (Survey, error) {
	s, err := q.survey(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		err = fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return s, err
}

func (q *Queue) survey(ctx context.Context) (Survey, error) {
	s := Survey{Partitions: make(map[string][]string), Covers: make(map[string]uint64)}
	for _, lane := range []Lane{Bulk, Express} {
		info, err := q.consumerInfo(ctx, lane, &s.Took)
		if err != nil {
			return Survey{}, fmt.Errorf("look at the work queue: %w", err)
		}
		s.Queued += int(info.NumPending)
		s.Running += info.NumAckPending
		s.Redelivered += info.NumRedelivered
		if lane == Bulk { // the slots of the other one are besides
			s.Waiting = info.NumWaiting
		}
	}
	work, _, err := q.subjectsIn(ctx, workStream, workPrefix+">", &s.Took)
	if err != nil {
		return Survey{}, fmt.Errorf("list outstanding partitions: %w", err)
	}
	for subject := range work {
		importID, id := partitionOf(subject)
		s.Partitions[importID] = append(s.Partitions[importID], id)
	}
	asked := time.Now()
	covers, last, err := q.subjectsIn(ctx, coversStream, ">", &s.Took)
	if err != nil {
		return Survey{}, fmt.Errorf("count covers: %w", err)
	}
	q.covers.Store(&extent{last, asked})
	for subject, n := range covers {
		importID, _ := partitionOf(subject)
		if !strings.HasPrefix(subject, coversPrefix) {
			n = 0
		}
		s.Covers[importID] += n
	}
	return s, nil
}

func (q *Queue) consumerInfo(ctx context.Context, lane Lane, took *time.Duration) (info *jetstream.ConsumerInfo, err error) {
	err = q.retry(ctx, "read", timed(took, func(ctx context.Context) error {
		cons, err := q.js.Consumer(ctx, workStream, lane.consumer())
		if err == nil {
			info = cons.CachedInfo()
		}
		return err
	}))
	return info, err
}

// Partitions reads partitions of an import that are queued or running, in any
// order. Those that are not any more are left out.
func (q *Queue) Partitions(ctx context.Context, importID string, ids []string) ([]partition.Partition, error) {
	if err := checkTokens(append(ids[:len(ids):len(ids)], importID)...); err != nil {
		return nil, fmt.Errorf("read partitions: %w", err)
	}
	var (
		mu  sync.Mutex
		out []partition.Partition
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, id := range ids {
		g.Go(func() error {
			p, err := readLast[partition.Partition](ctx, q, workStream, workPrefix+"*."+importID+"."+id)
			if errors.Is(err, ErrNotFound) {
				return nil // acknowledged since
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, p)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read outstanding partitions of import %s: %w", importID, err)
	}
	return out, nil
}

// OutstandingCount returns how many partitions of an import are queued or
// running.
func (q *Queue) OutstandingCount(ctx context.Context, importID string) (int, error) {
	if err := checkTokens(importID); err != nil {
		return 0, fmt.Errorf("count outstanding partitions: %w", err)
	}
	subjects, err := q.subjects(ctx, workStream, workPrefix+"*."+importID+".*")
	if err != nil {
		return 0, fmt.Errorf("count outstanding partitions of import %s: %w", importID, err)
	}
	return len(subjects), nil
}
