package readahead

import "testing"

func TestCutTakesEffectOnceARoundTrip(t *testing.T) {
	l := NewLimiter(Limits{Most: 40})
	l.limit, l.round = 40, 40
	l.jitter = func() float64 { return 0.5 }
	answer := func(n int) {
		for range n {
			l.success(1)
		}
	}
	for _, step := range []struct {
		what      string
		do        func()
		want      int
		throttles int
	}{
		{"before any call succeeded", l.Cut, 40, 0},
		{"after a round trip", func() { answer(40); l.Cut() }, 28, 0},
		{"throttled in other processes again", func() { l.Cut(); l.Cut() }, 28, 0},
		{"an own try of the epoch before", func() { l.throttled(l.epoch() - 1) }, 28, 0},
		{"an own try of this epoch", func() { l.throttled(l.epoch()) }, 19, 1},
		{"throttled in another process for the same reason", func() { answer(18); l.Cut() }, 19, 1},
		{"throttled in another process later on", func() { answer(60); l.Cut() }, 15, 1},
		{"a bound below the limit", func() { l.SetMost(5) }, 5, 1},
		{"a bound below 1 is 1", func() { l.SetMost(0) }, 1, 1},
	} {
		if step.do(); l.Limit() != step.want || l.Throttles() != step.throttles {
			t.Errorf("%s: limit %d after %d throttles, want %d after %d", step.what, l.Limit(), l.Throttles(), step.want, step.throttles)
		}
	}
	if l.Active() {
		t.Error("active without a listing")
	}
	l.active.Add(1)
	if !l.Active() {
		t.Error("not active in a listing")
	}
}

func TestBusy(t *testing.T) {
	l := NewLimiter(Limits{Most: 4})
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing is listed", func() {}, false},
		{"two calls of one listing", func() { l.active.Add(1); l.inFlight.Add(2) }, false},
		{"three", func() { l.inFlight.Add(1) }, true},
		{"the limit sinks below the calls in flight", func() { l.SetMost(2) }, true},
		{"a call ends, and the limit is four again", func() { l.SetMost(4); l.limit = 4; l.inFlight.Add(-1) }, false},
		{"three listings, whose share is one call each", func() { l.active.Add(2) }, true},
		{"two of them ended", func() { l.active.Add(-2) }, false},
	} {
		if step.do(); l.Busy() != step.want {
			t.Errorf("%s: busy is %v", step.what, !step.want)
		}
	}
}
