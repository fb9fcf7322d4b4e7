package natsconn

import (
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// metrics are those of one connection.
type metrics struct {
	published   *prometheus.CounterVec
	retries     *prometheus.CounterVec
	refused     prometheus.Counter
	disconnects prometheus.Counter
	asyncErrors prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("queue")
	return &metrics{
		published: f.CounterVec("published_total", "Messages stored, by kind.", metric.By("kind", "partition", "cover", "note")),
		retries: f.CounterVec("retries_total", "Calls to NATS tried again, by operation.",
			metric.By("op", "ensure", "publish", "cover", "pull", "ack", "read", "write", "discard", "follow")),
		refused:     f.Counter("protocol_refused_total", "Messages and streams refused because they are of another version of the protocol."),
		disconnects: f.Counter("disconnects_total", "Connections to NATS lost."),
		asyncErrors: f.Counter("errors_total", "Errors that NATS reported outside of any call, such as denied permissions."),
	}
}

// countMessages counts what a connection sends and receives: what the process costs
// NATS.
func countMessages(reg prometheus.Registerer, nc *nats.Conn) {
	f := metric.With(reg).In("queue")
	f.CounterFunc("messages_sent_total", "Messages sent to NATS.", func() float64 { return float64(nc.Stats().OutMsgs) })
	f.CounterFunc("messages_received_total", "Messages received from NATS.", func() float64 { return float64(nc.Stats().InMsgs) })
}
