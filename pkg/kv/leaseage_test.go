package kv

import (
	"testing"
	"time"
)

func TestLeaseAges(t *testing.T) {
	const forget = 10 * time.Second
	begun := time.Now()
	ages := leaseAges{of: make(map[string]leaseAge)}
	for _, step := range []struct {
		at       time.Duration
		name     string
		revision uint64
		want     time.Duration
	}{
		{0, "a", 1, 0},
		{1 * time.Second, "b", 1, 0},
		{3 * time.Second, "a", 1, 3 * time.Second},
		{4 * time.Second, "a", 2, 0}, // renewed
		{9 * time.Second, "a", 2, 5 * time.Second},
		{11 * time.Second, "b", 1, 10 * time.Second},
		{21 * time.Second, "b", 1, 20 * time.Second},
		{22 * time.Second, "a", 2, 0}, // not observed for long
		{33 * time.Second, "a", 1, 0},
	} {
		if got := ages.observe(step.name, step.revision, begun.Add(step.at), forget); got != step.want {
			t.Errorf("after %s: %s at %d for %s, want %s", step.at, step.name, step.revision, got, step.want)
		}
	}
	if len(ages.of) != 1 {
		t.Errorf("%d leases are remembered", len(ages.of))
	}
}
