package fleetsim

import (
	"flag"
	"testing"

	"github.com/rangefleet/rangefleet/internal/keyset"
)

var all = flag.Bool("fleets.all", false, "print the results of many fleets and shapes")

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

// The cost of sharing stays within bounds, which are a little above the present values. Time is
// relative to workers that are always busy, and LISTs are relative to those of one listing.
func TestFleets(t *testing.T) {
	for _, tc := range []struct {
		keys        int64
		workers     int
		time, lists float64
	}{
		{million, 1, 1.2, 1.01},
		{million, 8, 9.3, 1.25}, // the import takes 3 s
		{100 * million, 8, 1.25, 1.04},
		{100 * million, 64, 2.6, 1.13},
		{milliard, 8, 1.03, 1.01},
		{milliard, 64, 1.3, 1.03},
		{milliard, 1000, 7, 1.2},
	} {
		for _, shape := range []string{"uuid", "hive", "onedir", "zipf", "deep", "cjk"} {
			r := run(t, shape, tc.keys, tc.workers)
			if r.Time() > tc.time || r.Waste() > tc.lists {
				t.Errorf("%d keys of %s, %d workers: %.2f times the ideal time, %.3f times the LISTs; want at most %.2f, %.3f",
					tc.keys, shape, tc.workers, r.Time(), r.Waste(), tc.time, tc.lists)
			}
			if tc.keys > 100*million && r.Busy > 5 {
				t.Errorf("%d keys of %s: half of the %d workers have work only after %.0f s", tc.keys, shape, tc.workers, r.Busy)
			}
		}
	}
}

// An import of keys with 99 % in one directory takes hardly longer than one of evenly
// distributed keys.
func TestOneDirectoryIsSharedToo(t *testing.T) {
	even, skewed := run(t, "uuid", 100*million, 8), run(t, "onedir", 100*million, 8)
	if ratio := skewed.Seconds / even.Seconds; ratio > 1.3 {
		t.Errorf("the skewed keys take %.2f times as long", ratio)
	}
}

func TestAll(t *testing.T) {
	if !*all {
		t.Skip("-fleets.all")
	}
	t.Log("| shape | keys | workers | s | over the ideal | LISTs | partitions | messages | busy after s |")
	for _, shape := range keyset.Names()[:18] {
		for _, keys := range []int64{million, 10 * million, 100 * million, milliard} {
			for _, workers := range []int{1, 2, 4, 8, 64, 1000} {
				run(t, shape, keys, workers)
			}
		}
	}
}
