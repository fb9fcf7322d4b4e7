package queue

import (
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
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
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "rangefleet_queue_" + name, Help: help})
	}
	vec := func(name, help, label string, values ...string) *prometheus.CounterVec {
		v := f.NewCounterVec(prometheus.CounterOpts{Name: "rangefleet_queue_" + name, Help: help}, []string{label})
		for _, value := range values {
			v.WithLabelValues(value) // zero is visible
		}
		return v
	}
	return &metrics{
		published:    vec("published_total", "Messages stored, by kind.", "kind", "partition", "cover", "note"),
		queued:       counter("already_queued_total", "Partitions published while they were queued or running."),
		full:         counter("full_total", "Partitions not taken because the queue was full."),
		refused:      counter("protocol_refused_total", "Messages and streams refused because they are of another version of the protocol."),
		deliveries:   counter("deliveries_total", "Partitions received."),
		redeliveries: counter("redeliveries_total", "Partitions received that were delivered before."),
		acks:         counter("acks_total", "Partitions acknowledged, confirmed by NATS."),
		retries: vec("retries_total", "Calls to NATS tried again, by operation.", "op",
			"ensure", "publish", "cover", "pull", "ack", "read", "write", "discard", "follow"),
		stalls:      counter("stalls_total", "Times that partitions were pending and yet none was received for a while."),
		disconnects: counter("disconnects_total", "Connections to NATS lost."),
		asyncErrors: counter("errors_total", "Errors that NATS reported outside of any call, such as denied permissions."),
		leasesTaken: counter("leases_acquired_total", "Leases that this process took."),
		leasesLost:  counter("leases_lost_total", "Leases that were lost rather than released."),
	}
}

// countMessages keeps count of what a connection sends and receives: what the
// process costs NATS.
func countMessages(reg prometheus.Registerer, nc *nats.Conn) {
	f := promauto.With(reg)
	for _, c := range []struct {
		name, help string
		of         func(nats.Statistics) uint64
	}{
		{"messages_sent_total", "Messages sent to NATS.", func(s nats.Statistics) uint64 { return s.OutMsgs }},
		{"messages_received_total", "Messages received from NATS.", func(s nats.Statistics) uint64 { return s.InMsgs }},
	} {
		f.NewCounterFunc(prometheus.CounterOpts{Name: "rangefleet_queue_" + c.name, Help: c.help},
			func() float64 { return float64(c.of(nc.Stats())) })
	}
}
