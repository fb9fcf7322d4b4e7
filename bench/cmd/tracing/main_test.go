package main

import (
	"math"
	"testing"
)

func TestRatio(t *testing.T) {
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	if mean, e := ratio([]float64{3, 6, 9}, []float64{2, 4, 6}); !near(mean, 1.5) || !near(e, 0) {
		t.Errorf("equal ratios: %v ± %v", mean, e)
	}
	if mean, e := ratio([]float64{2, 1}, []float64{1, 2}); !near(mean, 1) || !near(e, math.Ln2) { // logarithms ± ln 2
		t.Errorf("2 and 1/2: %v ± %v", mean, e)
	}
	if mean, e := ratio([]float64{3}, []float64{2}); !near(mean, 1.5) || !near(e, 0) {
		t.Errorf("one ratio: %v ± %v", mean, e)
	}
}
