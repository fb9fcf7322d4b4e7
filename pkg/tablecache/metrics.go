package tablecache

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
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
	auto := promauto.With(reg)
	m := &metrics{
		bytes: auto.NewGauge(prometheus.GaugeOpts{
			Name: "rangefleet_table_cache_bytes",
			Help: "Bytes of ranges and metaranges that are kept in memory for lookups.",
		}),
		reads: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "rangefleet_table_cache_reads_total",
			Help: "Reads of chunks of ranges and metaranges, by whether they were in memory.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{outcomeHit, outcomeMiss} {
		m.reads.WithLabelValues(outcome)
	}
	return m
}
