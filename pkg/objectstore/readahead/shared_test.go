package readahead

import "testing"

func TestACutThatIsHeardCountsOnceARoundTrip(t *testing.T) {
	l := NewLimiter(Limits{Start: 40, Most: 40})
	l.jitter = func() float64 { return 0.5 }
	answer := func(n int) {
		for range n {
			l.quietly(1)
		}
	}
	for _, step := range []struct {
		what string
		do   func()
		want int
		cuts int
	}{
		{"before any call was answered", l.Cut, 40, 0},
		{"after a round trip", func() { answer(40); l.Cut() }, 28, 0},
		{"told again by others", func() { l.Cut(); l.Cut() }, 28, 0},
		{"its own calls of before", func() { l.throttled(l.called() - 1) }, 28, 0},
		{"its own calls of now", func() { l.throttled(l.called()) }, 19, 1},
		{"others told the same", func() { answer(18); l.Cut() }, 19, 1},
		{"and later once more", func() { answer(60); l.Cut() }, 15, 1},
		{"a bound below", func() { l.SetMost(5) }, 5, 1},
		{"no bound below 1", func() { l.SetMost(0) }, 1, 1},
	} {
		if step.do(); l.Limit() != step.want || l.Cuts() != step.cuts {
			t.Errorf("%s: limit %d after %d cuts, want %d after %d", step.what, l.Limit(), l.Cuts(), step.want, step.cuts)
		}
	}
	if l.Active() {
		t.Error("active without a listing")
	}
	l.enter()
	if !l.Active() {
		t.Error("not active in a listing")
	}
}

func TestBusy(t *testing.T) {
	l := NewLimiter(Limits{Start: 4, Most: 4})
	for _, step := range []struct {
		what string
		do   func()
		want bool
	}{
		{"nothing is listed", func() {}, false},
		{"two calls of one listing", func() { l.enter(); l.call(); l.call() }, false},
		{"three", l.call, true},
		{"more than may be, of before", func() { l.SetMost(2) }, true},
		{"an answer, and four may be", func() { l.SetMost(4); l.limit = 4; l.answered() }, false},
		{"three listings, which have one call each", func() { l.enter(); l.enter() }, true},
		{"two of them ended", func() { l.leave(); l.leave() }, false},
	} {
		if step.do(); l.Busy() != step.want {
			t.Errorf("%s: busy is %v", step.what, !step.want)
		}
	}
}
