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
		{"nobody needs it", fed, time.Minute, never, false, 1, false},
		{"heard lately", fed, lookEvery - 1, never, true, 1, false},
		{"heard long ago", fed, lookEvery, never, true, 1, true},
		{"others may look", fed, lookEvery, never, true, 1.5, false},
		{"somebody waits still", starved, starvedEvery, never, true, 1, true},
		{"others may look at them", starved, starvedEvery, never, true, 1.5, false},
		{"somebody has just begun to wait", fed, time.Minute, settleIn, false, 1, false},
		{"somebody waits", fed, time.Minute, settleIn + 1, false, 1, true},
		{"it was looked at a moment ago", fed, promptEvery - 1, promptEvery - 1, false, 1, false},
		{"and is again", fed, promptEvery, promptEvery - 1, false, 1, true},
		{"a look may not have seen it", fed, promptEvery, promptEvery + settleIn - 1, false, 1, true},
		{"a look has seen it", fed, promptEvery, promptEvery + settleIn, false, 1, false},
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
