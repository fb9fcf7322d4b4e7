package backend_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// startCluster runs three NATS servers in this process and returns the address of one.
func startCluster(t *testing.T) string {
	t.Helper()
	return startServers(t)[0].ClientURL()
}

// startServers runs a cluster of three NATS servers in this process.
func startServers(t *testing.T) []*server.Server {
	t.Helper()
	var servers []*server.Server
	first := "127.0.0.1:1" // of the first one itself: it wants an address, and the others find it
	for i := range 3 {
		opts := &server.Options{
			ServerName: fmt.Sprint("nats-", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true,
			JetStream: true, StoreDir: t.TempDir(),
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: server.RANDOM_PORT},
			Routes:  []*url.URL{{Scheme: "nats-route", Host: first}},
		}
		srv, err := server.NewServer(opts)
		expect.NoError(t, err)
		go srv.Start()
		t.Cleanup(func() {
			srv.Shutdown()
			srv.WaitForShutdown()
		})
		if !srv.ReadyForConnections(expect.Patience) {
			t.Fatalf("server %d is not ready", i)
		}
		servers = append(servers, srv)
		first = servers[0].ClusterAddr().String()
	}
	expect.Within(t, expect.Patience, "a leader of JetStream that knows three servers", func(context.Context) (bool, error) {
		for _, srv := range servers {
			if srv.JetStreamIsLeader() {
				return len(srv.JetStreamClusterPeers()) == len(servers), nil
			}
		}
		return false, nil
	})
	return servers
}

// Inspect tells how many copies are there, and whether a stream has a leader.
func TestInspectACluster(t *testing.T) {
	t.Parallel()
	servers := startServers(t)
	b := queuetest.Connect(t, natsconn.Config{URL: servers[0].ClientURL(), Replicas: 3, Log: slog.New(slog.DiscardHandler)})
	copies := func(want int) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			f, err := backend.Inspect(ctx, b)
			ok := len(f.Streams) == 6
			if err != nil {
				return false, err
			}
			for _, s := range f.Streams {
				ok = ok && s.Err == nil && s.Copies == 3 && s.Current == want && s.Leader != ""
			}
			return ok, nil
		}
	}
	expect.Within(t, expect.Patience, "three copies", copies(3))
	expect.NoError(t, natsconn.TryStream(t.Context(), b.Conn, "tried"))
	servers[2].Shutdown()
	expect.Within(t, expect.Patience, "two copies", copies(2))
}

// A coordinator whose setting is lower than the copies that a fleet has, or the default,
// keeps the copies.
func TestCopiesAreKept(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	nc, err := nats.Connect(cluster)
	expect.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	expect.NoError(t, err)
	for _, tc := range []struct {
		replicas, copies int
		warns            bool
	}{{1, 1, false}, {3, 3, false}, {1, 3, true}, {3, 3, false}} {
		var said transcript.Buffer
		queuetest.Connect(t, natsconn.Config{URL: cluster, Replicas: tc.replicas, Log: slog.New(slog.NewTextHandler(&said, nil))})
		streams, count := js.StreamNames(t.Context()), 0
		for name := range streams.Name() {
			stream, err := js.Stream(t.Context(), name)
			expect.NoError(t, err)
			if got := stream.CachedInfo().Config.Replicas; got != tc.copies {
				t.Errorf("nats.replicas %d: stream %s has %d copies, want %d", tc.replicas, name, got, tc.copies)
			}
			count++
		}
		if err := streams.Err(); err != nil || count != 6 {
			t.Errorf("%d streams, want 6: %v", count, err)
		}
		if warns := strings.Contains(said.String(), "nats.replicas is less"); warns != tc.warns {
			t.Errorf("nats.replicas %d: logged %s", tc.replicas, &said)
		}
	}
}
