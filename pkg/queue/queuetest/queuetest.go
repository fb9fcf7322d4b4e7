// Package queuetest runs NATS servers and backends for tests.
package queuetest

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Start returns a backend, ready to use, on a NATS server of the test's own. Both end
// with the test.
func Start(t testing.TB) *backend.Backend {
	t.Helper()
	return Connect(t, natsconn.Config{InProcess: StartServer(t, natsd.Config{})})
}

// StartServer runs a NATS server that ends with the test. It may be shut down
// before. Without a store directory it gets one of its own.
func StartServer(t testing.TB, cfg natsd.Config) *natsd.Server {
	t.Helper()
	if cfg.StoreDir == "" {
		cfg.StoreDir = t.TempDir()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s, err := natsd.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown() })
	return s
}

// Connect returns a backend whose streams and buckets exist, of at most one set of
// options. It is closed with the test. A Timeout bounds the test's own calls, not those
// that create the streams, which take as long as the disk is busy.
func Connect(t testing.TB, cfg natsconn.Config, opts ...backend.Options) *backend.Backend {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Timeout > 0 {
		patient := cfg
		patient.Timeout, patient.Registerer = 0, nil
		Connect(t, patient, opts...).Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := backend.Connect(ctx, cfg, append(opts, backend.Options{})[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if cfg.Timeout == 0 {
		if err := b.Ensure(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// Outstanding returns the partitions of an import that are queued or running,
// ordered by ID.
func Outstanding(t testing.TB, b *backend.Backend, importID string) []partition.Partition {
	t.Helper()
	seen, err := b.Queue.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parts, err := b.Queue.Partitions(t.Context(), importID, seen.Partitions[importID])
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(parts, func(a, b partition.Partition) int { return cmp.Compare(a.ID, b.ID) })
	return parts
}

// Lose deletes streams of the server, such as WORK and COVERS.
func Lose(t testing.TB, server *natsd.Server, streams ...string) {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range streams {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}
