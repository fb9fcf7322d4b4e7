package recent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/auth/recent"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

// source is what a cache reads: the number of reads until now.
type source struct {
	mu    sync.Mutex
	reads int
	err   error
	takes time.Duration
}

func (s *source) read(ctx context.Context, key string) (string, error) {
	s.mu.Lock()
	s.reads++
	text, err, takes := fmt.Sprint(key, s.reads), s.err, s.takes
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(takes):
		return text, err
	}
}

func newCache(s *source) *recent.Cache[string] {
	return recent.New(recent.Config[string]{Now: time.Now, Read: s.read, Most: 3})
}

func want(t *testing.T, what, text string) func(got string, err error) {
	t.Helper()
	return func(got string, err error) {
		t.Helper()
		if got != text || err != nil {
			t.Errorf("%s: %q, %v, want %q", what, got, err, text)
		}
	}
}

func TestValuesAreRememberedForMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, c := t.Context(), newCache(&source{})
		want(t, "first", "a1")(c.Get(ctx, "a"))
		want(t, "another", "b2")(c.Get(ctx, "b"))
		<-time.After(recent.MaxAge - 1)
		want(t, "remembered", "a1")(c.Get(ctx, "a"))
		<-time.After(1)
		want(t, "too old", "a3")(c.Get(ctx, "a"))
		want(t, "newer", "a4")(c.GetNewer(ctx, "a"))
		want(t, "the newer one", "a4")(c.Get(ctx, "a"))
		c.Changed()
		want(t, "after a change", "a5")(c.Get(ctx, "a"))
	})
}

func TestOnlyAnswersAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{err: kv.ErrNotFound}
		ctx, c := t.Context(), newCache(s)
		for range 2 {
			if _, err := c.Get(ctx, "a"); !errors.Is(err, kv.ErrNotFound) || s.reads != 1 {
				t.Errorf("%v after %d reads", err, s.reads)
			}
		}
		c.Changed()
		s.err = errors.New("no answer")
		for i := range 2 {
			if _, err := c.Get(ctx, "a"); !errors.Is(err, s.err) || s.reads != 2+i {
				t.Errorf("%v after %d reads", err, s.reads)
			}
		}
	})
}

// Reads may take too long while a leader is elected, but not for ever.
func TestSlowReadsAreBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: recent.MaxAge + 1}
		ctx, c := t.Context(), newCache(s)
		begun := time.Now()
		if _, err := c.Get(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || s.reads != 4 || time.Since(begun) != 4*recent.MaxAge {
			t.Errorf("%v after %d reads in %v", err, s.reads, time.Since(begun))
		}
		time.AfterFunc(recent.MaxAge, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.takes = 0
		})
		if got, err := c.Get(ctx, "a"); err != nil || got != "a6" && got != "a7" {
			t.Errorf("Get = %q, %v, want the answer of the second or third read", got, err)
		}
		s.takes = recent.MaxAge + 1
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		begun = time.Now()
		if _, err := c.GetNewer(short, "a"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("a caller who waits no longer: %v after %v", err, time.Since(begun))
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	s := &source{}
	c := newCache(s)
	for i := range 100 {
		_, err := c.Get(t.Context(), fmt.Sprint("key", i))
		expect.NoError(t, err)
	}
	for range 2 {
		_, err := c.Get(t.Context(), "key99")
		expect.NoError(t, err)
	}
	for i := range 97 {
		_, err := c.Get(t.Context(), fmt.Sprint("key", i))
		expect.NoError(t, err)
	}
	if s.reads != 197 {
		t.Errorf("%d reads", s.reads)
	}
}

// Calls at the same time share a read. It is not ended by the call that began it. No call
// that comes after a change shares one from before.
func TestCallsShareAReadButNotAcrossAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Second}
		c := newCache(s)
		first, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := c.Get(first, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("a call that ended: %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			calls.Go(func() { want(t, "shared", "a1")(c.Get(t.Context(), "a")) })
		}
		synctest.Wait()
		cancel()
		c.Changed()
		for range 3 {
			calls.Go(func() { want(t, "after the change", "a2")(c.Get(t.Context(), "a")) })
		}
		calls.Wait()
		want(t, "remembered", "a2")(c.Get(t.Context(), "a"))
	})
}
