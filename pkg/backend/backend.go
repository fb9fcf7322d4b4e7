// Package backend connects a process to what its fleet shares in NATS JetStream: the work
// queue, the covers, buckets of state, leases and gossip. It creates their streams.
package backend

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// Options say how a backend behaves. All processes of a fleet should have the same.
type Options struct {
	Queue    queue.Config
	LeaseTTL time.Duration // a lease that is not renewed for so long is free; default 6 s
}

// Backend is what the processes of a fleet share. Its methods may be called concurrently.
type Backend struct {
	Conn   *natsconn.Conn
	Queue  *queue.Queue
	Covers *covers.Log
	Leases *kv.Leases
	Gossip *gossip.Gossip
}

// Connect connects to NATS and waits until it is reached or ctx ends; see
// natsconn.Connect. The caller closes the backend.
func Connect(ctx context.Context, cfg natsconn.Config, opts Options) (*Backend, error) {
	conn, err := natsconn.Connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Backend{
		Conn: conn, Queue: queue.New(conn, opts.Queue), Covers: covers.New(conn),
		Leases: kv.NewLeases(conn, opts.LeaseTTL), Gossip: gossip.New(conn),
	}, nil
}

// Close ends the connection. Calls in progress end with an error.
func (b *Backend) Close() { b.Conn.Close() }

// Bucket returns the bucket of the name, one of those that Ensure creates.
func (b *Backend) Bucket(name string) kv.Bucket { return kv.Open(b.Conn, name) }

// Within returns the same backend with a shorter patience: a call takes at most d with all
// its attempts, or the Timeout of the connection if that is less.
func (b *Backend) Within(d time.Duration) *Backend {
	return &Backend{Conn: b.Conn.Within(d), Queue: b.Queue.Within(d), Covers: b.Covers.Within(d), Leases: b.Leases.Within(d), Gossip: b.Gossip}
}

// Ensure creates the streams, the consumers and the buckets, or updates them to their
// configuration. It is idempotent. Coordinators call it; workers wait for what it
// creates. It is natsconn.ErrProtocol where a fleet of another version is at work.
func (b *Backend) Ensure(ctx context.Context) error {
	return b.ensure(ctx, append(state(), b.work()...))
}

// Restore is Ensure without the buckets: partitions, covers and leases may get lost while
// a fleet runs, as it makes all of them anew. An empty bucket in place of a lost one
// would only hide the loss.
func (b *Backend) Restore(ctx context.Context) error { return b.ensure(ctx, b.work()) }

// state returns the streams of the buckets that outlive imports.
func state() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{kv.Stream(kv.BucketImports, 0), kv.Stream(kv.BucketCatalog, 0), kv.Stream(kv.BucketAuth, 0)}
}

// work returns the streams that can be made anew while a fleet runs.
func (b *Backend) work() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{b.Queue.Stream(), b.Covers.Stream(), b.Leases.Stream()}
}

func (b *Backend) ensure(ctx context.Context, streams []jetstream.StreamConfig) error {
	if err := b.Conn.Ensure(ctx, streams...); err != nil {
		return err
	}
	return b.Queue.EnsureConsumers(ctx)
}

// Inspect asks NATS for facts about what the fleet shares. It changes nothing.
func Inspect(ctx context.Context, b *Backend) (natsconn.Facts, error) {
	w := natsconn.Wanted{Subscribe: []string{gossip.Subjects, natsconn.StoredPrefix + ">"}, Publish: []string{gossip.Unheard}}
	for _, s := range append(state(), b.work()...) {
		w.Streams = append(w.Streams, s.Name)
	}
	return natsconn.Inspect(ctx, b.Conn, w)
}

// Discard removes all partitions, covers and notes of an import, running partitions too.
// It is for imports that have ended.
func (b *Backend) Discard(ctx context.Context, importID string) error {
	if err := b.Queue.Discard(ctx, importID); err != nil {
		return err
	}
	return b.Covers.Discard(ctx, importID)
}

// Survey is what the streams held of all imports at about one moment.
type Survey struct {
	queue.Survey
	// Covers is how many are stored, by import; 0 if there are only notes. They were
	// counted after the partitions: all covers are counted of a partition that is missing
	// from Partitions.
	Covers map[string]uint64
}

// Survey looks at the streams; see queue.Queue.Survey. It is natsconn.ErrMissing if a stream
// or a consumer did not exist for as long as a call takes; see Restore. Followers of covers
// learn from it whether NATS has lost covers that they have received.
func (b *Backend) Survey(ctx context.Context) (s Survey, err error) {
	if s.Survey, err = b.Queue.Survey(ctx); err != nil {
		return Survey{}, err
	}
	if s.Covers, err = b.Covers.Counts(ctx, &s.Took); err != nil {
		return Survey{}, err
	}
	return s, nil
}
