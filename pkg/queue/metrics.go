package queue

import (
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

type metrics struct {
	published    *prometheus.CounterVec
	queued       prometheus.Counter
	full         prometheus.Counter
	refused      prometheus.Counter
	deliveries   prometheus.Counter
	redeliveries prometheus.Counter
	acks         prometheus.Counter
	retries      *prometheus.CounterVec
	stalls       prometheus.Counter
	disconnects  prometheus.Counter
	asyncErrors  prometheus.Counter
	leasesTaken  prometheus.Counter
	leasesLost   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("queue")
	return &metrics{
		published:    f.CounterVec("published_total", "Messages stored, by kind.", metric.By("kind", "partition", "cover", "note")),
		queued:       f.Counter("already_queued_total", "Partitions published while they were queued or running."),
		full:         f.Counter("full_total", "Partitions not taken because the queue was full."),
		refused:      f.Counter("protocol_refused_total", "Messages and streams refused because they are of another version of the protocol."),
		deliveries:   f.Counter("deliveries_total", "Partitions received."),
		redeliveries: f.Counter("redeliveries_total", "Partitions received that were delivered before."),
		acks:         f.Counter("acks_total", "Partitions acknowledged, confirmed by NATS."),
		retries: f.CounterVec("retries_total", "Calls to NATS tried again, by operation.",
			metric.By("op", "ensure", "publish", "cover", "pull", "ack", "read", "write", "discard", "follow")),
		stalls:      f.Counter("stalls_total", "Times that partitions were pending and yet none was received for a while."),
		disconnects: f.Counter("disconnects_total", "Connections to NATS lost."),
		asyncErrors: f.Counter("errors_total", "Errors that NATS reported outside of any call, such as denied permissions."),
		leasesTaken: f.Counter("leases_acquired_total", "Leases that this process took."),
		leasesLost:  f.Counter("leases_lost_total", "Leases that were lost rather than released."),
	}
}

// countMessages keeps count of what a connection sends and receives: what the
// process costs NATS.
func countMessages(reg prometheus.Registerer, nc *nats.Conn) {
	f := metric.With(reg).In("queue")
	for _, c := range []struct {
		name, help string
		of         func(nats.Statistics) uint64
	}{
		{"messages_sent_total", "Messages sent to NATS.", func(s nats.Statistics) uint64 { return s.OutMsgs }},
		{"messages_received_total", "Messages received from NATS.", func(s nats.Statistics) uint64 { return s.InMsgs }},
	} {
		f.CounterFunc(c.name, c.help, func() float64 { return float64(c.of(nc.Stats())) })
	}
}
