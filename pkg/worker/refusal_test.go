package worker

import (
	"testing"
	"time"
)

func TestRefusalsThatAreHeard(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, tc := range []struct {
		name, data string
		after      time.Duration
		helps      bool
	}{
		{"none", "", 0, false},
		{"of another worker", `{"worker":"other","for":2000000000}`, 0, true},
		{"almost over", `{"worker":"other","for":2000000000}`, 2*time.Second - 1, true},
		{"over", `{"worker":"other","for":2000000000}`, 2 * time.Second, false},
		{"its own", `{"worker":"me","for":2000000000}`, 0, false},
		{"of another version", `["other"]`, 0, false},
	} {
		w := &Worker{name: "me", now: func() time.Time { return now }}
		w.hearRefusal([]byte(tc.data))
		if got := w.refusals.helps(now.Add(tc.after)); got != tc.helps {
			t.Errorf("%s: helps is %v, want %v", tc.name, got, tc.helps)
		}
		if w.refusals.shies(now.Add(tc.after)) {
			t.Errorf("%s: it leaves partitions to others, though it was refused none", tc.name)
		}
	}
}
