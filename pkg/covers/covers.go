// Package covers is the log of covers on NATS JetStream, the checkpoints of an import:
// which ranges hold the keys of which spans. Workers append to it and coordinators follow
// it.
//
// A cover that was published is stored, and delivered to each follower in the order of
// the log, at least once. It may be stored twice. The log also holds a note of each
// partition that needs one; see Tries.
package covers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// The stream and its subjects.
const (
	streamName  = "COVERS"
	coverPrefix = "c."
	triesPrefix = "t."
)

// Log is the log of covers of all imports. Its methods may be called concurrently.
type Log struct {
	conn   *natsconn.Conn
	stream natsconn.Stream
	extent *atomic.Pointer[extent]
}

// New returns the log, whose stream need not exist yet.
func New(conn *natsconn.Conn) *Log {
	return &Log{conn: conn, stream: conn.Stream(streamName), extent: new(atomic.Pointer[extent])}
}

// Stream is the configuration of the stream that holds the log.
func (l *Log) Stream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        streamName,
		Description: "Covers: which ranges hold the keys of a span; and how often partitions were tried",
		Subjects:    []string{coverPrefix + "*.*", triesPrefix + "*.*"},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Metadata:    l.conn.Metadata(),
		AllowDirect: true, // which followers read by, in batches
		// The copy says that a message is stored: a read then returns it. A subscription
		// to the subject itself would hear of it earlier.
		RePublish: &jetstream.RePublish{Source: coverPrefix + ">", Destination: natsconn.StoredPrefix + coverPrefix + ">", HeadersOnly: true},
	}
}

// Within returns the same log with a shorter patience; see natsconn.Conn.Within.
func (l *Log) Within(d time.Duration) *Log {
	impatient := *l
	impatient.conn = l.conn.Within(d)
	impatient.stream = impatient.conn.Stream(streamName)
	return &impatient
}

// Publish stores a cover that a worker of the partition found. It returns once the
// cover is durable, and may store it twice.
func (l *Log) Publish(ctx context.Context, importID, partitionID string, c partition.Cover) error {
	if err := l.publish(ctx, "cover", coverPrefix, importID, partitionID, c); err != nil {
		return fmt.Errorf("publish a cover of partition %s of import %s: %w", partitionID, importID, err)
	}
	l.conn.CountPublished("cover")
	return nil
}

// publish stores a message about a partition; retries are counted under op.
func (l *Log) publish(ctx context.Context, op, prefix, importID, partitionID string, message any) error {
	if err := natsconn.CheckTokens(importID, partitionID); err != nil {
		return err
	}
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return l.conn.Retry(ctx, op, func(ctx context.Context) error {
		_, err := l.conn.JetStream.PublishMsg(ctx, &nats.Msg{Subject: prefix + importID + "." + partitionID, Header: l.conn.Header(), Data: data})
		return err
	})
}

// Last returns the cover of a partition that was stored last, and whether there is any.
func (l *Log) Last(ctx context.Context, importID, partitionID string) (c partition.Cover, found bool, err error) {
	return last[partition.Cover](ctx, l, "cover", coverPrefix, importID, partitionID)
}

// last returns the last message of a kind about a partition, and whether there is any.
func last[T any](ctx context.Context, l *Log, kind, prefix, importID, partitionID string) (message T, found bool, err error) {
	if err = natsconn.CheckTokens(importID, partitionID); err == nil {
		message, err = natsconn.ReadLast[T](ctx, l.stream, prefix+importID+"."+partitionID)
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return message, false, nil
	}
	if err != nil {
		return message, false, fmt.Errorf("read the last %s of partition %s: %w", kind, partitionID, err)
	}
	return message, true, nil
}

// Count returns how many covers of an import are stored. A follower that has received
// fewer is going to receive more.
func (l *Log) Count(ctx context.Context, importID string) (uint64, error) {
	if err := natsconn.CheckTokens(importID); err != nil {
		return 0, fmt.Errorf("count covers: %w", err)
	}
	found, err := l.stream.Subjects(ctx, coverPrefix+importID+".*", new(time.Duration))
	if err != nil {
		return 0, fmt.Errorf("count covers of import %s: %w", importID, err)
	}
	var n uint64
	for _, messages := range found.Subjects {
		n += messages
	}
	return n, nil
}

// Counts returns how many covers are stored, by import: 0 of one that has only notes.
// It adds to took how long the answers took. Followers learn from it whether NATS has
// lost covers that they have received. It is natsconn.ErrMissing if the stream did not
// exist for as long as a call takes.
func (l *Log) Counts(ctx context.Context, took *time.Duration) (map[string]uint64, error) {
	asked := time.Now()
	found, err := l.stream.Subjects(ctx, ">", took)
	if err != nil {
		return nil, fmt.Errorf("count covers: %w", natsconn.Missing(err))
	}
	l.extent.Store(&extent{found.Last, asked})
	counts := make(map[string]uint64)
	for subject, n := range found.Subjects {
		importID := strings.Split(subject, ".")[1]
		if !strings.HasPrefix(subject, coverPrefix) {
			n = 0
		}
		counts[importID] += n
	}
	return counts, nil
}

// Discard removes all covers and notes of an import. It is for imports that have ended.
func (l *Log) Discard(ctx context.Context, importID string) error {
	if err := natsconn.CheckTokens(importID); err != nil {
		return fmt.Errorf("discard an import's covers: %w", err)
	}
	for _, prefix := range []string{coverPrefix, triesPrefix} {
		if err := l.stream.Purge(ctx, "discard", jetstream.WithPurgeSubject(prefix+importID+".*")); err != nil {
			return fmt.Errorf("discard messages of import %s in %s: %w", importID, streamName, err)
		}
	}
	return nil
}
