package measured_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rangefleet/rangefleet/internal/measured"
)

func TestSum(t *testing.T) {
	reg := prometheus.NewRegistry()
	calls := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"op", "outcome"})
	calls.WithLabelValues("get", "ok").Add(3)
	calls.WithLabelValues("get", "error").Add(2)
	calls.WithLabelValues("put", "ok").Add(10)
	seconds := promauto.With(reg).NewHistogram(prometheus.HistogramOpts{Name: "call_seconds", Help: "How long they took."})
	seconds.Observe(5)
	seconds.Observe(6)
	for _, tc := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"calls_total", nil, 15},
		{"calls_total", []string{"get"}, 5},
		{"calls_total", []string{"ok", "get"}, 3},
		{"call_seconds", nil, 2},
	} {
		if got := measured.Sum(t, reg, tc.name, tc.labels...); got != tc.want {
			t.Errorf("%s %q: %v, want %v", tc.name, tc.labels, got, tc.want)
		}
	}
}
