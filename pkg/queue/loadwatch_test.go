package queue

import (
	"testing"
	"time"
)

func TestLoadWatchIsDue(t *testing.T) {
	const never = -time.Hour // not prompted
	fed, starved := LaneLoad{Waiting: 1, Pending: 1}, LaneLoad{Waiting: 1}
	for _, tc := range []struct {
		name          string
		load          LaneLoad
		age, prompted time.Duration // since the load was received, and since a worker began to wait
		needed        bool
		stretch       float64
		want          bool
	}{
		{"not needed", fed, time.Minute, never, false, 1, false},
		{"received lately", fed, lookEvery - 1, never, true, 1, false},
		{"received long ago", fed, lookEvery, never, true, 1, true},
		{"another process may look first", fed, lookEvery, never, true, 1.5, false},
		{"a worker is starved", starved, starvedEvery, never, true, 1, true},
		{"another process may look first while a worker is starved", starved, starvedEvery, never, true, 1.5, false},
		{"a worker has just begun to wait", fed, time.Minute, settleIn, false, 1, false},
		{"a worker waits", fed, time.Minute, settleIn + 1, false, 1, true},
		{"prompted right after a look", fed, promptEvery - 1, promptEvery - 1, false, 1, false},
		{"prompted a while after a look", fed, promptEvery, promptEvery - 1, false, 1, true},
		{"the look may have been too early", fed, promptEvery, promptEvery + settleIn - 1, false, 1, true},
		{"the look was late enough", fed, promptEvery, promptEvery + settleIn, false, 1, false},
	} {
		now := time.Now()
		o := &LoadWatch{load: tc.load, at: now.Add(-tc.age)}
		if tc.prompted != never {
			o.prompted = now.Add(-tc.prompted)
		}
		if got := o.due(now, tc.needed, tc.stretch); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
