// Package testclock is a clock that tests set.
package testclock

import (
	"sync"
	"time"
)

// Clock is a clock that moves only by Add. Its methods may be called concurrently.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// New returns a clock at some time of the year 2026, which is a whole second.
func New() *Clock { return &Clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
