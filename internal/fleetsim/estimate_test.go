package fleetsim

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// estimate is what is shown of an import at some time, in seconds.
type estimate struct {
	at float64
	progress.Progress
}

// estimates returns what a coordinator shows of an import each second, from what the workers
// report.
func estimates(t *testing.T, set keyset.Set, workers int) (all []estimate, r result) {
	t.Helper()
	var tally progress.Tally
	cfg := defaultConfig(set, workers)
	cfg.Watch = func(f *fleet) {
		now := time.Unix(0, 0).Add(time.Duration(f.now * float64(time.Second)))
		var done int64
		for _, o := range f.owned {
			done += o[1] - o[0]
		}
		ids := make(map[string]bool)
		for _, l := range f.running {
			r := f.report(l, int64(f.now))
			ids[r.PartitionID] = true
			tally.Take(r, now)
		}
		tally.Keep(now.Add(1), func(id string) bool { return ids[id] })
		all = append(all, estimate{f.now, tally.Look(new(partition.Chain), done, len(f.running)+len(f.pending), now, time.Minute)})
	}
	r, err := simulate(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return all, r
}

// report is what the worker of a listing reports.
func (f *fleet) report(l *listing, number int64) progress.Report {
	at, id := f.at(l), l.after
	r := progress.Report{PartitionID: "p" + id, Worker: fmt.Sprintf("%p", l), Delivery: id, Number: number, State: progress.Listing, Left: l.guess}
	if at == l.from {
		return r
	}
	f.show(l, at)
	r.Left = l.left()
	start := l.from
	if l.after != "" {
		start = f.boundary(l.from)
	}
	if at > start {
		r.Keys = at - start
		r.Span = partition.Span{After: fmt.Sprintf("%020d", start), Upto: fmt.Sprintf("%020d", at)}
	}
	return r
}

// after returns what was shown after a part of the time.
func after(all []estimate, r result, part float64) estimate {
	for _, e := range all {
		if e.at >= part*r.Seconds {
			return e
		}
	}
	return all[len(all)-1]
}

// right reports whether an estimate is within a factor of two of the number of keys, and whether
// that is within its bounds.
func (e estimate) right(keys int64) (right, within bool) {
	g := e.Estimate
	if !g.Some {
		return false, false
	}
	return g.Keys >= keys/2 && g.Keys <= 2*keys, g.Low <= keys && (g.High == 0 || g.High >= keys)
}

// TestEstimates compares estimates with the number of keys after a tenth of the time, and later.
func TestEstimates(t *testing.T) {
	parts := []float64{0.05, 0.1, 0.2, 0.3, 0.5, 0.8}
	for _, tc := range []struct {
		keys         int64
		workers      int
		good, within int // shapes whose estimate is right after a tenth of the time, and those within their bounds
		exceeded     int // bounds that there are more keys than, of all parts of the time
		missed       int // bounds that there are fewer keys than, likewise
	}{
		{100 * million, 1, 0, 0, 2, 0}, // nothing tells where the keys end
		{100 * million, 8, 15, 16, 4, 2},
		{milliard, 64, 15, 16, 5, 1},
	} {
		if !*all && tc.keys > 100*million {
			continue // it takes half a minute
		}
		t.Run(fmt.Sprint(tc.keys, " keys, ", tc.workers, " workers"), func(t *testing.T) {
			good, within, exceeded, missed := 0, 0, 0, 0
			t.Log("| shape | keys shown over those that there are, after 5, 10, 20, 30, 50 and 80 % of the time | seconds shown over those left |")
			for _, shape := range keyset.Names()[:18] {
				all, r := estimates(t, keyset.Must(shape, tc.keys, 1), tc.workers)
				var ratios, times []string
				for _, part := range parts {
					e := after(all, r, part)
					if ok, bounded := e.right(tc.keys); part == 0.1 {
						good, within = good+count(ok), within+count(bounded)
					}
					exceeded += count(e.Estimate.High > 0 && e.Estimate.High < tc.keys)
					missed += count(e.Estimate.Low > tc.keys)
					n, high := float64(tc.keys), float64(e.Estimate.High)
					if high == 0 {
						high = math.Inf(1)
					}
					ratios = append(ratios, fmt.Sprintf("%.2f (%.2f-%.2f)", float64(e.Estimate.Keys)/n, float64(e.Estimate.Low)/n, high/n))
					times = append(times, fmt.Sprintf("%.2f", e.Remaining.Seconds()/(r.Seconds-e.at)))
				}
				t.Logf("| %s | %s | %s |", shape, strings.Join(ratios, ", "), strings.Join(times, ", "))
			}
			t.Logf("%d are right within a factor of 2, and %d within their bounds; %d bounds are exceeded, and %d missed", good, within, exceeded, missed)
			if good < tc.good || within < tc.within || exceeded > tc.exceeded || missed > tc.missed {
				t.Errorf("want %d and %d at least, and %d and %d at most", tc.good, tc.within, tc.exceeded, tc.missed)
			}
		})
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
