package tablecache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// Outcomes of a read of a chunk.
const (
	outcomeHit  = "hit"
	outcomeMiss = "miss"
)

type metrics struct {
	bytes prometheus.Gauge
	reads *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := metric.With(reg).In("table_cache")
	return &metrics{
		bytes: f.Gauge("bytes", "Bytes of ranges and metaranges that are kept in memory for lookups."),
		reads: f.CounterVec("reads_total", "Reads of chunks of ranges and metaranges, by whether they were in memory.",
			metric.By("outcome", outcomeHit, outcomeMiss)),
	}
}
