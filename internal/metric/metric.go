// Package metric makes Prometheus metrics whose names start with "rangefleet_",
// registers them, and shows the series of known label values from the start, at zero.
//
// A histogram has the buckets that it is made with and those of a native histogram, which scrapers
// that ask for it get in their place. Each of the former is a series: there should be few.
package metric

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Factory makes metrics. The names that its methods take do not have the prefix.
type Factory struct {
	reg    prometheus.Registerer
	auto   promauto.Factory
	prefix string
}

// With returns a factory that registers metrics with reg. If reg is nil, metrics work but are not
// registered.
func With(reg prometheus.Registerer) Factory {
	return Factory{reg, promauto.With(reg), "rangefleet_"}
}

// In returns a factory for metrics of a subsystem. The name of the subsystem follows the prefix.
func (f Factory) In(subsystem string) Factory {
	return Factory{f.reg, f.auto, f.prefix + subsystem + "_"}
}

// For returns a factory for metrics that have a label with one value. Several factories may make
// metrics of one name, if the values differ.
func (f Factory) For(label, value string) Factory {
	reg := prometheus.WrapRegistererWith(prometheus.Labels{label: value}, f.reg)
	return Factory{reg, promauto.With(reg), f.prefix}
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

// GaugeFunc makes a gauge with the value that read returns. read is called by every scrape, from
// many goroutines: it should only look at memory.
func (f Factory) GaugeFunc(name, help string, read func() float64) {
	f.auto.NewGaugeFunc(prometheus.GaugeOpts{Name: f.prefix + name, Help: help}, read)
}

// Constant makes a gauge that is always 1, for what its labels say.
func (f Factory) Constant(name, help string, labels map[string]string) {
	f.auto.NewGauge(prometheus.GaugeOpts{Name: f.prefix + name, Help: help, ConstLabels: labels}).Set(1)
}

// CertificateEnd makes the gauge of when a certificate of a use, a label, expires.
func (f Factory) CertificateEnd(use string) prometheus.Gauge {
	return f.For("use", use).Gauge("certificate_not_after_timestamp_seconds", "When a certificate expires, in seconds since 1970, by its use.")
}

// CredentialsEnd makes the gauge of when credentials of a use, a label, expire.
func (f Factory) CredentialsEnd(use string) prometheus.Gauge {
	return f.For("use", use).Gauge("credentials_not_after_timestamp_seconds", "When credentials expire, in seconds since 1970, by their use; 0 if they do not, or there are none.")
}

// Histogram makes a histogram with the upper bounds of its buckets, see Buckets.
func (f Factory) Histogram(name, help string, buckets []float64) prometheus.Histogram {
	return f.auto.NewHistogram(f.histogram(name, help, buckets))
}

// HistogramVec makes a histogram for each combination of label values.
func (f Factory) HistogramVec(name, help string, buckets []float64, labels ...Label) *prometheus.HistogramVec {
	v := f.auto.NewHistogramVec(f.histogram(name, help, buckets), names(labels))
	each(labels, func(values []string) { v.WithLabelValues(values...) })
	return v
}

// Bounds of a native histogram: neighbouring buckets differ by a tenth, and there are at most that
// many of them. If there would be more, the histogram begins anew, at most once an hour.
const (
	nativeFactor  = 1.1
	nativeBuckets = 160
	nativeReset   = time.Hour
)

func (f Factory) histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: f.prefix + name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeReset,
	}
}

// Buckets returns n upper bounds, the first of which is given, and each of the others four times the
// one before. It panics if a bound is an integer: text formats differ in how they write one, so that
// it could name two series.
func Buckets(first float64, n int) []float64 {
	bounds := prometheus.ExponentialBuckets(first, 4, n)
	for _, b := range bounds {
		if b == math.Trunc(b) {
			panic(fmt.Sprintf("bucket %v is an integer", b))
		}
	}
	return bounds
}

// Observe adds a value to a histogram. If a trace is known in which the value was measured, the
// histogram refers to it by an exemplar. traceID is "" if there is none.
func Observe(o prometheus.Observer, value float64, traceID string) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && traceID != "" {
		e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": traceID})
		return
	}
	o.Observe(value)
}

// Time returns a moment as Prometheus has it, in seconds since 1970; 0 if there is none.
func Time(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
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
