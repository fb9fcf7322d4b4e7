package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// Ensure makes the streams, the consumers and the buckets, or brings them to the
// configuration. It is idempotent, and a coordinator's to call: others wait for
// what it makes. It is ErrProtocol where a fleet of another version is at work.
func (q *Queue) Ensure(ctx context.Context) error {
	var buckets []jetstream.StreamConfig
	for _, name := range []string{BucketImports, BucketCatalog, BucketAuth} {
		buckets = append(buckets, q.bucketConfig(name, 0))
	}
	return q.ensure(ctx, buckets...)
}

// Restore is Ensure of what may get lost while a fleet runs, as all of it is made again:
// partitions, covers and leases. It leaves the buckets alone: where one is missing, an
// empty one in its place would only hide that.
func (q *Queue) Restore(ctx context.Context) error { return q.ensure(ctx) }

func (q *Queue) ensure(ctx context.Context, buckets ...jetstream.StreamConfig) error {
	copies, err := q.takeOver(ctx)
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("make the queue: NATS does not answer for JetStream, which has to be switched on there, and in a cluster by most of its servers: %w", err)
	} else if err != nil {
		return fmt.Errorf("make the queue: %w", err)
	}
	streams := append(buckets, q.workConfig(), q.coversConfig(), q.bucketConfig(bucketLeases, q.cfg.LeaseTTL))
	if err := q.ensureStreams(ctx, streams, copies); err != nil {
		return err
	}
	for _, lane := range []Lane{Bulk, Express} {
		err := q.retry(ctx, "ensure", func(ctx context.Context) error {
			_, err := q.js.CreateOrUpdateConsumer(ctx, workStream, q.consumerConfig(lane))
			return err
		})
		if err != nil {
			return fmt.Errorf("make consumer %s of stream %s: %w", lane.consumer(), workStream, err)
		}
	}
	return nil
}

// ensureStreams makes all, of so many copies, at the same time: a cluster may take an
// election, of seconds, for each.
func (q *Queue) ensureStreams(ctx context.Context, streams []jetstream.StreamConfig, copies int) error {
	g, making := errgroup.WithContext(ctx)
	for _, cfg := range streams {
		cfg.Replicas = copies
		g.Go(func() error {
			err := q.retry(making, "ensure", func(ctx context.Context) error {
				_, err := q.js.CreateOrUpdateStream(ctx, cfg)
				return err
			})
			if lacksServers(err) {
				return fmt.Errorf("make stream %s: nats.replicas is %d, and NATS has not as many servers that are up: %w", cfg.Name, cfg.Replicas, err)
			} else if err != nil {
				return fmt.Errorf("make stream %s: %w", cfg.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// lacksServers reports whether a stream is to have more copies than there are
// servers for.
func lacksServers(err error) bool {
	const notClustered = 10074
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == noPeers || api.ErrorCode == notClustered)
}

// workConfig is a stream that takes one message per subject and removes it when
// it is acknowledged: publishing a partition again while it is queued or
// running is refused, with no window of time. It is bounded, and refuses what is
// too much rather than forget what it has.
func (q *Queue) workConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:                 workStream,
		Description:          "Partitions to list: one message each, until acknowledged",
		Subjects:             []string{workPrefix + "*.*.*"},
		Retention:            jetstream.WorkQueuePolicy,
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		MaxMsgs:              q.cfg.MaxQueued,
		MaxMsgsPerSubject:    1,
		Storage:              jetstream.FileStorage,
		Metadata:             q.metadata(),
	}
}

// consumerConfig sets no BackOff, which would override AckWait, and no bound of
// deliveries: a message past it would stay, and block its subject, for ever.
func (q *Queue) consumerConfig(lane Lane) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       lane.consumer(),
		FilterSubject: lane.subject("*", "*"),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       q.cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: -1, // the default of 1000 would cap the fleet
		MaxWaiting:    100_000,
	}
}

func (q *Queue) coversConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        coversStream,
		Description: "Covers: which ranges hold the keys of a span; and how often partitions were tried",
		Subjects:    []string{coversPrefix + "*.*", triesPrefix + "*.*"},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Metadata:    q.metadata(),
		AllowDirect: true, // which followers read by, in batches
		// The copy says that a message is stored: who reads then sees it. A
		// subscription to the subject itself would hear of it earlier.
		RePublish: &jetstream.RePublish{Source: coversPrefix + ">", Destination: storedPrefix + coversPrefix + ">", HeadersOnly: true},
	}
}

// bucketConfig is that of a JetStream key-value bucket with a history of one,
// except that only the stream's leader answers reads: with direct reads one's
// own write may be invisible for a while.
func (q *Queue) bucketConfig(name string, ttl time.Duration) jetstream.StreamConfig {
	duplicates := 2 * time.Minute
	if ttl > 0 {
		duplicates = min(duplicates, ttl)
	}
	subjects := bucketSubject + name + ".>"
	return jetstream.StreamConfig{
		Name:              bucketStream + name,
		Subjects:          []string{subjects},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: 1,
		MaxAge:            ttl,
		Duplicates:        duplicates,
		Storage:           jetstream.FileStorage,
		DenyDelete:        true,
		AllowRollup:       true,
		RePublish:         &jetstream.RePublish{Source: subjects, Destination: storedPrefix + name + ".>", HeadersOnly: true},
	}
}
