package partition_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

func TestGives(t *testing.T) {
	b := partition.Breaks{Raggedness: 100}
	for _, tc := range []struct {
		left, rate float64
		want       int
	}{
		{0, 0, 0},
		{399, 0, 0}, // not worth what is listed twice
		{400, 0, 1},
		{799, 0, 1},
		{800, 0, 2},
		{5e3, 0, 12},
		{5e3, 400, 12},
		{5e3, 1000, 5},
		{5e3, 5001, 0}, // not worth the time that it takes
		{1e9, 1e5, 64},
		{math.Inf(1), 1e5, 64}, // bounded
	} {
		if got := b.Gives(tc.left, tc.rate); got != tc.want {
			t.Errorf("of %g left at %g a second: %d pieces, want %d", tc.left, tc.rate, got, tc.want)
		}
	}
}

func TestShares(t *testing.T) {
	for _, tc := range []struct {
		lefts []float64
		idle  int
		want  []int
	}{
		{nil, 3, []int{}},
		{[]float64{100}, 0, []int{0}},
		{[]float64{100}, 3, []int{3}},
		{[]float64{100, 1000, 50}, 3, []int{0, 3, 0}}, // who has most
		{[]float64{100, 1000, 400}, 4, []int{0, 3, 1}},
		{[]float64{5, 5, 5}, 2, []int{1, 1, 0}}, // the same wherever it is reckoned
		{[]float64{0, 0}, 1, []int{1, 0}},
		{[]float64{1e9, 1}, 1000, []int{64, 64}}, // bounded
		{[]float64{1, math.Inf(1)}, 2, []int{0, 2}},
	} {
		if got := partition.Shares(tc.lefts, tc.idle); !slices.Equal(got, tc.want) {
			t.Errorf("Shares(%v, %d) = %v, want %v", tc.lefts, tc.idle, got, tc.want)
		}
	}
}

// TestSharesAreTheBest compares the largest part that is left with that of every other
// way to share.
func TestSharesAreTheBest(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		lefts := make([]float64, 1+rng.IntN(4))
		for i := range lefts {
			lefts[i] = math.Exp(8 * rng.Float64())
		}
		idle := rng.IntN(7)
		got := partition.Shares(lefts, idle)
		given, largest := 0, 0.0
		for i, n := range got {
			given, largest = given+n, max(largest, lefts[i]/float64(n+1))
		}
		if best := leastLargest(lefts, idle); given != idle || largest > best {
			t.Fatalf("Shares(%v, %d) = %v leaves a part of %g, the best is %g", lefts, idle, got, largest, best)
		}
	}
}

// leastLargest tries all ways to give idle pieces away.
func leastLargest(lefts []float64, idle int) float64 {
	if len(lefts) == 0 {
		if idle > 0 {
			return math.Inf(1)
		}
		return 0
	}
	best := math.Inf(1)
	for n := range idle + 1 {
		best = min(best, max(lefts[0]/float64(n+1), leastLargest(lefts[1:], idle-n)))
	}
	return best
}
