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
		takes      bool
	}{
		{"none", "", 0, false},
		{"of another worker", `{"worker":"other","for":2000000000}`, 0, true},
		{"almost over", `{"worker":"other","for":2000000000}`, 2*time.Second - 1, true},
		{"over", `{"worker":"other","for":2000000000}`, 2 * time.Second, false},
		{"its own", `{"worker":"me","for":2000000000}`, 0, false},
		{"of another version", `["other"]`, 0, false},
	} {
		r := &refusals{worker: "me", now: func() time.Time { return now }}
		r.receive([]byte(tc.data))
		now = now.Add(tc.after)
		if got := r.takesRefused(); got != tc.takes {
			t.Errorf("%s: it takes what was refused to others: %v, want %v", tc.name, got, tc.takes)
		}
		if r.avoids() {
			t.Errorf("%s: it leaves partitions to others, though it was refused none", tc.name)
		}
	}
}
