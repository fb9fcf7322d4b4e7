// Package queuetest runs NATS servers and backends for tests.
package queuetest

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/rangefleet/rangefleet/internal/expect"
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

// StartListening is StartServer of one that coordinators can reach by TCP, with the login that it
// returns. A later server on the directory accepts the same.
func StartListening(t testing.TB, dir, listen string) (*natsd.Server, natsconn.Login) {
	t.Helper()
	file, public := Key(t, dir)
	access := natsd.Access{Coordinators: []string{public}, Insecure: true}
	return StartServer(t, natsd.Config{StoreDir: dir, Listen: listen, Access: access}), natsconn.Login{SeedFile: file}
}

// Key returns the file of an nkey's seed in a directory, which is made if it is absent, and its
// public key.
func Key(t testing.TB, dir string) (file, public string) {
	t.Helper()
	file = filepath.Join(dir, "seed")
	seed, err := os.ReadFile(file)
	if err != nil {
		pair, err := nkeys.CreateUser()
		expect.NoError(t, err)
		seed, err = pair.Seed()
		expect.NoError(t, err)
		expect.NoError(t, os.WriteFile(file, seed, 0o600))
	}
	pair, err := nkeys.FromSeed(seed)
	expect.NoError(t, err)
	public, err = pair.PublicKey()
	expect.NoError(t, err)
	return file, public
}

// Inside returns the login of connections within the process of a server.
func Inside(s *natsd.Server) (l natsconn.Login) {
	l.User, l.Password = s.Login()
	return l
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
