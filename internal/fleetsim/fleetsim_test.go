package fleetsim

import (
	"flag"
	"testing"

	"github.com/rangefleet/rangefleet/internal/keyset"
)

var all = flag.Bool("fleets.all", false, "print what many fleets take for many shapes")

func run(t *testing.T, shape string, keys int64, workers int) result {
	t.Helper()
	set, err := keyset.New(shape, keys, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, err := simulate(defaultConfig(set, workers))
	if err != nil {
		t.Fatalf("%d keys of %s, %d workers: %v", keys, shape, workers, err)
	}
	t.Logf("| %s | %.0e | %d | %.1f | %.2f | %.3f | %d | %d | %.1f |", shape, float64(keys), workers,
		r.Seconds, r.Time(), r.Waste(), r.Partitions, r.Messages, r.Busy)
	return r
}

const (
	million  = 1_000_000
	milliard = 1_000_000_000
)

// What sharing costs, as reached and a little more: seconds in units of those of
// workers that are all busy all the time, LISTs in units of those that one listing
// takes.
func TestFleets(t *testing.T) {
	for _, tc := range []struct {
		keys        int64
		workers     int
		time, lists float64
	}{
		{million, 1, 1.2, 1.01},
		{million, 8, 9.3, 1.25}, // over in 3 s
		{100 * million, 8, 1.25, 1.04},
		{100 * million, 64, 2.6, 1.13},
		{milliard, 8, 1.03, 1.01},
		{milliard, 64, 1.3, 1.03},
		{milliard, 1000, 7, 1.2},
	} {
		for _, shape := range []string{"uuid", "hive", "onedir", "zipf", "deep", "cjk"} {
			r := run(t, shape, tc.keys, tc.workers)
			if r.Time() > tc.time || r.Waste() > tc.lists {
				t.Errorf("%d keys of %s, %d workers: %.2f of the ideal time, %.3f of the LISTs; want at most %.2f, %.3f",
					tc.keys, shape, tc.workers, r.Time(), r.Waste(), tc.time, tc.lists)
			}
			if tc.keys > 100*million && r.Busy > 5 {
				t.Errorf("%d keys of %s: half of %d workers have work after %.0f s", tc.keys, shape, tc.workers, r.Busy)
			}
		}
	}
}

// One directory that holds 99 % of the keys takes hardly longer than keys that
// are spread evenly.
func TestOneDirectoryIsSharedToo(t *testing.T) {
	even, skewed := run(t, "uuid", 100*million, 8), run(t, "onedir", 100*million, 8)
	if ratio := skewed.Seconds / even.Seconds; ratio > 1.3 {
		t.Errorf("%.2f times as long", ratio)
	}
}

func TestAll(t *testing.T) {
	if !*all {
		t.Skip("-fleets.all")
	}
	t.Log("| shape | keys | workers | s | of the ideal | LISTs | partitions | messages | busy after s |")
	for _, shape := range keyset.Names()[:18] {
		for _, keys := range []int64{million, 10 * million, 100 * million, milliard} {
			for _, workers := range []int{1, 2, 4, 8, 64, 1000} {
				run(t, shape, keys, workers)
			}
		}
	}
}
