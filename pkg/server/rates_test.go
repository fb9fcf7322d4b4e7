package server

import (
	"fmt"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	now := created
	r := newRates(10, 3, func() time.Time { return now })
	taken := func(name string, want int) {
		t.Helper()
		got := 0
		for r.take(name) {
			got++
		}
		if got != want || r.take(name) {
			t.Errorf("%s took %d, want %d", name, got, want)
		}
	}
	taken("a", 3)
	taken("b", 3)
	now = now.Add(99 * time.Millisecond)
	taken("a", 0)
	now = now.Add(101 * time.Millisecond)
	taken("a", 2)
	now = now.Add(-time.Hour) // the clock was set back
	taken("a", 0)
	now = now.Add(200 * time.Millisecond)
	taken("a", 2)
	now = now.Add(time.Hour + time.Minute)
	taken("a", 3)
	r.giveBack("a")
	taken("a", 1)
	r.giveBack("full")
	taken("full", 3)
	for range 5 {
		r.giveBack("full")
	}
	taken("full", 3)
	for i := range ratesKept {
		r.take(fmt.Sprint(i))
	}
	taken("used", 3)
	for i := range ratesKept - 1 {
		r.take(fmt.Sprint("other ", i))
	}
	taken("used", 0)
	r.take("one more") // in the place of the least recent
	taken("used", 0)
	if len(r.byName) != ratesKept || r.recent.Len() != ratesKept {
		t.Errorf("%d names are remembered, want %d", len(r.byName), ratesKept)
	}
}
