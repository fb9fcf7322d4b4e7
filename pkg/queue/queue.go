// Package queue is the work queue of partitions on NATS JetStream: lanes, delivery at
// least once until acknowledged, heartbeats, redelivery, and a bound (ErrFull, for
// backpressure).
package queue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// The stream, and the start of its subjects.
const (
	streamName = "WORK"
	workPrefix = "w."
)

// What the queue is called in traces.
const (
	Name     = streamName
	Subjects = workPrefix + "{lane}.{import}.{partition}" // a template of the subjects of its messages
)

// Config says how the queue behaves. That of the process that created the stream and the
// consumers last is in force.
type Config struct {
	AckWait   time.Duration // a partition without a heartbeat for so long is delivered again; default 15 s
	MaxQueued int64         // partitions that the queue takes, of all imports; default 1<<20
}

// Queue is the work queue. Its methods may be called concurrently.
type Queue struct {
	conn   *natsconn.Conn
	stream natsconn.Stream
	cfg    Config

	alreadyQueued, full, deliveries, redeliveries, acks, stalls prometheus.Counter
}

// New returns the queue, whose stream need not exist yet.
func New(conn *natsconn.Conn, cfg Config) *Queue {
	cfg.AckWait = cmp.Or(cfg.AckWait, 15*time.Second)
	cfg.MaxQueued = cmp.Or(cfg.MaxQueued, 1<<20)
	f := metric.With(conn.Registerer()).In("queue")
	return &Queue{
		conn: conn, stream: conn.Stream(streamName), cfg: cfg,
		alreadyQueued: f.Counter("already_queued_total", "Partitions published while they were queued or running."),
		full:          f.Counter("full_total", "Partitions not taken because the queue was full."),
		deliveries:    f.Counter("deliveries_total", "Partitions received."),
		redeliveries:  f.Counter("redeliveries_total", "Partitions received that were delivered before."),
		acks:          f.Counter("acks_total", "Partitions acknowledged, confirmed by NATS."),
		stalls:        f.Counter("stalls_total", "Times that partitions were pending and yet none was received for a while."),
	}
}

// Stream is the configuration of the stream that holds the queue. It takes one message
// per subject and removes it when it is acknowledged: publishing a partition again while
// it is queued or running is refused, without a time window. It is bounded, and refuses
// new messages rather than drop old ones.
func (q *Queue) Stream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:                 streamName,
		Description:          "Partitions to list: one message each, until acknowledged",
		Subjects:             []string{workPrefix + "*.*.*"},
		Retention:            jetstream.WorkQueuePolicy,
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		MaxMsgs:              q.cfg.MaxQueued,
		MaxMsgsPerSubject:    1,
		Storage:              jetstream.FileStorage,
		Metadata:             q.conn.Metadata(),
	}
}

// EnsureConsumers creates the consumers of the lanes, or updates them to the
// configuration. The stream exists.
func (q *Queue) EnsureConsumers(ctx context.Context) error {
	for _, lane := range []Lane{Bulk, Express} {
		cfg := jetstream.ConsumerConfig{ // without BackOff, which would override AckWait
			Durable:       lane.Consumer(),
			FilterSubject: lane.subject("*", "*"),
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       q.cfg.AckWait,
			MaxDeliver:    -1, // a message past a bound would stay, and block its subject, for ever
			MaxAckPending: -1, // the default of 1000 would cap the fleet
			MaxWaiting:    100_000,
		}
		err := q.conn.Retry(ctx, "ensure", func(ctx context.Context) error {
			_, err := q.conn.JetStream.CreateOrUpdateConsumer(ctx, streamName, cfg)
			return err
		})
		if err != nil {
			return fmt.Errorf("make consumer %s of stream %s: %w", lane.Consumer(), streamName, err)
		}
	}
	return nil
}

// Within returns the same queue with a shorter patience; see natsconn.Conn.Within.
func (q *Queue) Within(d time.Duration) *Queue {
	impatient := *q
	impatient.conn = q.conn.Within(d)
	impatient.stream = impatient.conn.Stream(streamName)
	return &impatient
}
