// Package metric makes Prometheus metrics whose names start with "rangefleet_",
// registers them, and shows the series of known label values from the start, at zero.
package metric

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Factory makes metrics. The names that its methods take do not have the prefix.
type Factory struct {
	auto   promauto.Factory
	prefix string
}

// With returns a factory that registers metrics with reg. If reg is nil, metrics work but are not
// registered.
func With(reg prometheus.Registerer) Factory {
	return Factory{promauto.With(reg), "rangefleet_"}
}

// In returns a factory for metrics of a subsystem. The name of the subsystem follows the prefix.
func (f Factory) In(subsystem string) Factory {
	return Factory{f.auto, f.prefix + subsystem + "_"}
}

// Label is the name of a label, with the values that are known beforehand.
type Label struct {
	name   string
	values []string
}

// By returns a label. A metric shows one series at zero for each combination of the known values
// of its labels, and none if a label has no known values.
func By(name string, values ...string) Label { return Label{name, values} }

// Counter makes a counter.
func (f Factory) Counter(name, help string) prometheus.Counter {
	return f.auto.NewCounter(prometheus.CounterOpts{Name: f.prefix + name, Help: help})
}

// CounterFunc makes a counter with the value that read returns.
func (f Factory) CounterFunc(name, help string, read func() float64) {
	f.auto.NewCounterFunc(prometheus.CounterOpts{Name: f.prefix + name, Help: help}, read)
}

// CounterVec makes a counter for each combination of label values.
func (f Factory) CounterVec(name, help string, labels ...Label) *prometheus.CounterVec {
	v := f.auto.NewCounterVec(prometheus.CounterOpts{Name: f.prefix + name, Help: help}, names(labels))
	each(labels, func(values []string) { v.WithLabelValues(values...) })
	return v
}

// Gauge makes a gauge.
func (f Factory) Gauge(name, help string) prometheus.Gauge {
	return f.auto.NewGauge(prometheus.GaugeOpts{Name: f.prefix + name, Help: help})
}

// GaugeVec makes a gauge for each combination of label values.
func (f Factory) GaugeVec(name, help string, labels ...Label) *prometheus.GaugeVec {
	v := f.auto.NewGaugeVec(prometheus.GaugeOpts{Name: f.prefix + name, Help: help}, names(labels))
	each(labels, func(values []string) { v.WithLabelValues(values...) })
	return v
}

// Histogram makes a histogram with the upper bounds of its buckets.
func (f Factory) Histogram(name, help string, buckets []float64) prometheus.Histogram {
	return f.auto.NewHistogram(prometheus.HistogramOpts{Name: f.prefix + name, Help: help, Buckets: buckets})
}

// HistogramVec makes a histogram for each combination of label values.
func (f Factory) HistogramVec(name, help string, buckets []float64, labels ...Label) *prometheus.HistogramVec {
	v := f.auto.NewHistogramVec(prometheus.HistogramOpts{Name: f.prefix + name, Help: help, Buckets: buckets}, names(labels))
	each(labels, func(values []string) { v.WithLabelValues(values...) })
	return v
}

func names(labels []Label) []string {
	all := make([]string, len(labels))
	for i, l := range labels {
		all[i] = l.name
	}
	return all
}

// each calls f with every combination of the labels' values.
func each(labels []Label, f func(values []string), chosen ...string) {
	if len(labels) == 0 {
		f(chosen)
		return
	}
	for _, value := range labels[0].values {
		each(labels[1:], f, append(chosen[:len(chosen):len(chosen)], value)...)
	}
}
