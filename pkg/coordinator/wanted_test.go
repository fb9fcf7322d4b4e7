package coordinator

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/progress"
)

func TestWantedWorkers(t *testing.T) {
	for _, tc := range []struct {
		name string
		work work
		want float64
	}{
		{"nothing to do", work{0, 0, 50_000}, 0},
		{"nothing to do, by an old estimate", work{0, 1e9, 50_000}, 0},
		{"nothing is known", work{1, 0, 0}, 1},
		{"no rate is known", work{1, 1e9, 0}, 1},
		{"less than a minute", work{3, 1e6, 50_000}, 1},
		{"a minute", work{3, 3e6, 50_000}, 1},
		{"more than a minute", work{3, 3e6 + 1, 50_000}, 2},
		{"one partition of many keys", work{1, 1e9, 50_000}, 334},
		{"more than there ever are", work{1, 1e15, 50_000}, 1000},
	} {
		if got := wantedWorkers(tc.work); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestWorkIsThatOfAllImports(t *testing.T) {
	got := workOf(map[string]int{"a": 2, "b": 3, "unseen": 1}, map[string]progress.Progress{
		"a": {Listed: 100, Estimate: progress.NewGuess(0, 1000, 2000), PerSecond: 10, Workers: 1},
		"b": {Listed: 70, PerSecond: 50, Workers: 2}, // without an estimate
	})
	if want := (work{outstanding: 6, left: 900, rate: 20}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := workOf(nil, nil); got != (work{}) {
		t.Errorf("of no import: %+v", got)
	}
}
