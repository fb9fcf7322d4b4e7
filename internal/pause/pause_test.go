package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
)

func TestFor(t *testing.T) {
	for name, c := range map[string]struct{ pause, ends, took time.Duration }{
		"in time":    {time.Minute, time.Hour, time.Minute},
		"cut short":  {time.Hour, time.Minute, time.Minute},
		"no time":    {0, time.Minute, 0},
		"below zero": {-time.Hour, time.Minute, 0},
		"too late":   {time.Hour, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.ends)
				defer cancel()
				begun := time.Now()
				err := pause.For(ctx, c.pause)
				if took := time.Since(begun); took != c.took || errors.Is(err, context.DeadlineExceeded) != (c.ends <= c.took) {
					t.Errorf("took %v, %v", took, err)
				}
			})
		})
	}
}

func TestBound(t *testing.T) {
	for _, c := range []struct {
		first, most time.Duration
		failures    int
		want        time.Duration
	}{
		{time.Second, time.Minute, 0, time.Second},
		{time.Second, time.Minute, 1, time.Second},
		{time.Second, time.Minute, 2, 2 * time.Second},
		{time.Second, time.Minute, 6, 32 * time.Second},
		{time.Second, time.Minute, 7, time.Minute},
		{time.Second, time.Minute, 1 << 40, time.Minute},
		{time.Hour, time.Minute, 1, time.Minute},
		{1, 1<<63 - 1, 1 << 40, 1<<63 - 1},
	} {
		if got := pause.Bound(c.first, c.most, c.failures); got != c.want {
			t.Errorf("Bound(%v, %v, %d) = %v, want %v", c.first, c.most, c.failures, got, c.want)
		}
	}
}

// After work that took long once because of a fault, the rest must not be many times as long.
func TestAfter(t *testing.T) {
	for _, c := range []struct{ took, least, want time.Duration }{
		{0, time.Second, time.Second},
		{50 * time.Millisecond, time.Second, time.Second},
		{50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond},
		{200 * time.Millisecond, time.Second, 2 * time.Second},
		{time.Second, time.Second, 3 * time.Second},
		{8 * time.Second, time.Second, 8 * time.Second},
		{30 * time.Second, time.Second, 10 * time.Second},
	} {
		if got := pause.After(c.took, c.least); got != c.want {
			t.Errorf("After(%v, %v) = %v, want %v", c.took, c.least, got, c.want)
		}
	}
}
