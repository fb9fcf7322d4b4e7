package backend

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// storageEvery is how often a coordinator looks at what NATS stores. It takes one request for each
// stream, and one for the account.
const storageEvery = 10 * time.Second

// StorageWatch shows in metrics what NATS stores for the fleet, and whether each stream can be used.
// Only coordinators may ask NATS for that. It is for one goroutine.
type StorageWatch struct {
	backend *Backend
	limit   func() int64
	log     *slog.Logger

	used, most prometheus.Gauge
	// By stream:
	messages, bytes, leader, wanted, current *prometheus.GaugeVec
}

// NewStorageWatch returns a watch that has not looked yet. limit returns how many bytes NATS could
// store at most; nil is that only NATS knows.
func NewStorageWatch(b *Backend, limit func() int64, log *slog.Logger, reg prometheus.Registerer) *StorageWatch {
	var names []string
	for _, s := range append(state(), b.work()...) {
		names = append(names, s.Name)
	}
	f, streams := metric.With(reg).In("nats"), metric.By("stream", names...)
	w := &StorageWatch{
		backend: b, limit: limit, log: log,
		used:     f.Gauge("storage_used_bytes", "Bytes on disk that JetStream uses for the account of this process."),
		most:     f.Gauge("storage_limit_bytes", "Bytes on disk that it may use: the limit of the account, or what the disk of the embedded server has room for; +Inf if neither is known."),
		messages: f.GaugeVec("stream_messages", "Messages in a stream.", streams),
		bytes:    f.GaugeVec("stream_bytes", "Bytes of a stream on disk.", streams),
		leader:   f.GaugeVec("stream_leader", "1 if a stream has a leader, so that it can be used; 0 if it has none, is missing, or NATS does not tell.", streams),
		wanted:   f.GaugeVec("stream_replicas", "Copies of a stream that are wanted.", streams),
		current:  f.GaugeVec("stream_replicas_current", "Copies of a stream that are up to date.", streams),
	}
	w.most.Set(math.Inf(1))
	return w
}

// Run looks at what NATS stores until ctx ends.
func (w *StorageWatch) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "look at what nats stores", "err", err)
		}
		_ = pause.For(ctx, storageEvery) // the loop looks at ctx
	}
}

func (w *StorageWatch) look(ctx context.Context) error {
	var names []string
	for _, s := range append(state(), w.backend.work()...) {
		names = append(names, s.Name)
	}
	facts, err := natsconn.Storage(ctx, w.backend.Conn, names)
	for _, s := range facts.Streams {
		led := 0.0
		if s.Leader != "" {
			led = 1
		}
		w.leader.WithLabelValues(s.Name).Set(led)
		if s.Err != nil || s.Missing { // the other values stay what they were
			continue
		}
		w.messages.WithLabelValues(s.Name).Set(float64(s.Messages))
		w.bytes.WithLabelValues(s.Name).Set(float64(s.Bytes))
		w.wanted.WithLabelValues(s.Name).Set(float64(s.Copies))
		w.current.WithLabelValues(s.Name).Set(float64(s.Current))
	}
	if err != nil {
		return err
	}
	w.used.Set(float64(facts.Stored))
	most := math.Inf(1)
	if facts.Most >= 0 {
		most = float64(facts.Most)
	}
	if w.limit != nil {
		most = min(most, float64(w.limit()))
	}
	w.most.Set(most)
	return nil
}
