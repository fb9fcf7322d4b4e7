// Package measured reads Prometheus metrics in tests.
package measured

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Sum returns the sum of all series of a metric that have the label values. The value of a
// histogram is its number of observations. Sum ends the test if there is no such series.
func Sum(t testing.TB, metrics prometheus.Gatherer, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if slices.ContainsFunc(labels, func(want string) bool { return !slices.Contains(has, want) }) {
				continue
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	if !found {
		t.Fatalf("no series of %s has the labels %q", name, labels)
	}
	return sum
}
