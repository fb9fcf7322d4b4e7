package coordinator

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
)

// The age is that of the import which got no further for the longest time, as of the last look.
func TestTheAgeIsOfTheOldest(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	reg := prometheus.NewRegistry()
	a := newAges(reg, func() time.Time { return now })
	for _, step := range []struct {
		name string
		do   func()
		want float64 // seconds
	}{
		{"none", func() {}, 0},
		{"one begins", func() { a.further("one") }, 0},
		{"it rests", func() { now = now.Add(20 * time.Second) }, 20},
		{"another one begins", func() { a.further("two") }, 20},
		{"the first waits for its turn", func() { a.waits("one") }, 0},
		{"both rest", func() { now = now.Add(30 * time.Second) }, 30},
		{"it has its turn", func() { a.further("one") }, 30},
		{"the second ends", func() { a.forget("two") }, 0},
		{"a minute passes", func() { now = now.Add(time.Minute) }, 60},
		{"it gets further", func() { a.further("one") }, 0},
		{"the clock is set back", func() { now = now.Add(-time.Hour) }, 0},
		{"the first ends", func() { a.forget("one"); now = now.Add(2 * time.Hour) }, 0},
	} {
		step.do()
		a.look()
		if got := measured.Sum(t, reg, "rangefleet_import_oldest_progress_age_seconds"); got != step.want {
			t.Errorf("%s: the age is %v s, want %v", step.name, got, step.want)
		}
	}
}
