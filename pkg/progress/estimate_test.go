package progress_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

func TestAnEstimateIsToldOnceItIsWorthSomething(t *testing.T) {
	known := progress.NewGuess(50, 100, 200)
	wild := progress.Guess{Keys: 1e12, Wild: true, Some: true}
	little := progress.Guess{Keys: 10, Wild: true, Some: true}
	for _, tc := range []struct {
		name        string
		lefts       []progress.Guess
		listed      int64
		outstanding int
		want        progress.Guess
	}{
		{"nothing", nil, 0, 1, progress.Guess{}},
		{"nothing listed", []progress.Guess{known}, 0, 1, progress.Guess{}},
		{"one partition", []progress.Guess{known}, 10, 1, progress.Guess{Keys: 110, Low: 60, High: 210, Some: true}},
		{"nothing outstanding", nil, 10, 0, progress.Guess{Keys: 10, Low: 10, High: 10, Some: true}},
		{"one of two is unknown", []progress.Guess{known, {}}, 10, 2, progress.Guess{}},
		{"one of eleven is not heard of", repeated(known, 10), 10, 11, progress.Guess{Keys: 1010, Low: 510, Some: true}},
		{"the end is not known", []progress.Guess{known, wild}, 10, 2, progress.Guess{}},
		{"hardly anything is beyond", []progress.Guess{known, little}, 10, 2, progress.Guess{Keys: 120, Low: 60, Some: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, state := range []progress.State{progress.Listing, progress.Waiting} {
				var tally progress.Tally
				for i, left := range tc.lefts {
					tally.Take(progress.Report{PartitionID: string(rune('a' + i)), State: state, Left: left}, time.Unix(0, 0))
				}
				if got := tally.Look(new(partition.Chain), tc.listed, tc.outstanding, time.Unix(1, 0), time.Minute).Estimate; got != tc.want {
					t.Errorf("%s: %+v, want %+v", state, got, tc.want)
				}
			}
		})
	}
}

// After the bound of an estimate has proved wrong, none is told by which most keys are listed, until
// twice as many are. A bound of a time when half as many were listed does not count.
func TestAnEstimateThatProvesWrongIsNotTold(t *testing.T) {
	for _, tc := range []struct {
		name  string
		looks [][2]int64 // keys that are listed, and the upper bound of what is left
		told  []bool
	}{
		{"a bound that holds", [][2]int64{{10, 90}, {60, 40}, {99, 1}, {109, 1}}, []bool{true, true, true, true}},
		{"an end that does not come", [][2]int64{{100, 1}, {111, 1}, {112, 1}, {150, 1}, {290, 1}}, []bool{true, true, false, false, false}},
		{"an end that seems to come", [][2]int64{{100, 1}, {150, 400}, {299, 250}, {300, 250}}, []bool{true, true, false, true}},
		{"a bound of the beginning", [][2]int64{{10, 90}, {20, 980}, {900, 100}}, []bool{true, true, true}},
		{"no bound", [][2]int64{{10, 0}, {900, 0}}, []bool{true, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tally progress.Tally
			for i, look := range tc.looks {
				left := progress.Guess{Keys: 1, High: look[1], Some: true}
				tally.Take(progress.Report{PartitionID: "p", Delivery: "d", Number: int64(i + 1), State: progress.Listing, Left: left}, time.Unix(0, 0))
				if got := tally.Look(new(partition.Chain), look[0], 1, time.Unix(1, 0), time.Minute).Estimate; got.Some != tc.told[i] {
					t.Errorf("with %d keys and %d left at most: %+v, want one that is told: %v", look[0], look[1], got, tc.told[i])
				}
			}
		})
	}
}

func repeated(g progress.Guess, n int) (all []progress.Guess) {
	for range n {
		all = append(all, g)
	}
	return all
}

// The rate follows a change within some seconds, and a look too soon after another one does not
// change it.
func TestRateIsSmooth(t *testing.T) {
	var tally progress.Tally
	now, keys := time.Unix(0, 0), int64(0)
	look := func() float64 {
		return tally.Look(new(partition.Chain), keys, 1, now, time.Minute).PerSecond
	}
	if got := look(); got != 0 {
		t.Errorf("%v keys per second before any time has passed", got)
	}
	for range 10 {
		now, keys = now.Add(time.Second), keys+1000
		if got := look(); got < 999 || got > 1001 {
			t.Fatalf("%v keys per second, want 1000", got)
		}
	}
	before := look()
	now, keys = now.Add(time.Millisecond), keys+1000
	if got := look(); got != before {
		t.Errorf("a millisecond later there are %v keys per second, and %v before", got, before)
	}
	now = now.Add(time.Second)
	if got := look(); got < 900 || got > 1100 {
		t.Errorf("after a second more %v keys per second", got)
	}
	for range 30 {
		now = now.Add(time.Second)
		look()
	}
	if got := look(); got > 10 {
		t.Errorf("%v keys per second after 30 seconds without one", got)
	}
}

func TestReportsAreChecked(t *testing.T) {
	good := progress.Report{ImportID: "i", PartitionID: "p", State: progress.Listing, Span: partition.Span{After: "a", Upto: "b"}, Keys: 1}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*progress.Report){
		"keys: -1 is not":        func(r *progress.Report) { r.Keys = -1 },
		"left.low: -7 is not":    func(r *progress.Report) { r.Left.Low = -7 },
		"left.high: 9000000000":  func(r *progress.Report) { r.Left.High = 9e18 },
		"retries: -1 is not":     func(r *progress.Report) { r.Retries = -1 },
		"worker: 2000 bytes":     func(r *progress.Report) { r.Worker = strings.Repeat("w", 2000) },
		`state: unknown value "`: func(r *progress.Report) { r.State = "dancing" },
		"span: 1 keys cannot":    func(r *progress.Report) { r.Span.Upto = "a" },
	} {
		r := good
		spoil(&r)
		if err := r.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s...", err, want)
		}
	}
}
