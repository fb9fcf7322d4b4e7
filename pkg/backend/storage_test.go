package backend

import (
	"log/slog"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
)

// A stream that is gone has no leader, and the smaller limit of the two counts.
func TestStorageWatch(t *testing.T) {
	server, err := natsd.Start(natsd.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	expect.NoError(t, err)
	defer func() { expect.NoError(t, server.Shutdown()) }()
	b, err := Connect(t.Context(), natsconn.Config{InProcess: server, Log: slog.New(slog.DiscardHandler)}, Options{})
	expect.NoError(t, err)
	defer b.Close()
	expect.NoError(t, b.Ensure(t.Context()))
	_, err = b.Bucket("imports").Create(t.Context(), "i.1", make([]byte, 1000))
	expect.NoError(t, err)
	expect.NoError(t, b.Conn.JetStream.DeleteStream(t.Context(), "COVERS"))
	reg := prometheus.NewRegistry()
	w := NewStorageWatch(b, server.DiskLimit, slog.New(slog.DiscardHandler), reg)
	if got := measured.Sum(t, reg, "rangefleet_nats_storage_limit_bytes"); !math.IsInf(got, 1) {
		t.Errorf("before the first look the limit is %v, want +Inf", got)
	}
	expect.NoError(t, w.look(t.Context()))
	for _, tc := range []struct {
		name, stream string
		least, most  float64
	}{
		{"stream_leader", "KV_imports", 1, 1},
		{"stream_leader", "WORK", 1, 1},
		{"stream_leader", "COVERS", 0, 0},
		{"stream_replicas", "WORK", 1, 1},
		{"stream_replicas_current", "WORK", 1, 1},
		{"stream_replicas_current", "COVERS", 0, 0},
		{"stream_messages", "KV_imports", 1, 1},
		{"stream_bytes", "KV_imports", 1000, 2000},
		{"stream_messages", "KV_leases", 0, 0},
	} {
		if got := measured.Sum(t, reg, "rangefleet_nats_"+tc.name, tc.stream); got < tc.least || got > tc.most {
			t.Errorf("%s of %s is %v, want %v to %v", tc.name, tc.stream, got, tc.least, tc.most)
		}
	}
	used, most := measured.Sum(t, reg, "rangefleet_nats_storage_used_bytes"), measured.Sum(t, reg, "rangefleet_nats_storage_limit_bytes")
	if used < 1000 || most < used || math.IsInf(most, 1) {
		t.Errorf("%v bytes are used of %v", used, most)
	}
	w.limit = func() int64 { return 1 }
	expect.NoError(t, w.look(t.Context()))
	if got := measured.Sum(t, reg, "rangefleet_nats_storage_limit_bytes"); got != 1 {
		t.Errorf("the limit is %v, want 1", got)
	}
}
