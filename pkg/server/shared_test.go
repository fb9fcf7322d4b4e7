package server

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

func waitHere(wait func()) { wait() }

// lookups are calls whose value is the number of the call. They take as long as each is told.
type lookups struct {
	calls atomic.Int64
	take  func(call int64) time.Duration
}

func (l *lookups) find(ctx context.Context, key string) (int64, error) {
	n := l.calls.Add(1)
	select {
	case <-time.After(l.take(n)):
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// A request shares a call only with requests that came before that call began.
func TestSharedAnswersAreNotOlderThanTheirRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written atomic.Int64
		s := newShared(func(context.Context, string) (int64, error) {
			now := written.Load()
			<-time.After(30 * time.Millisecond)
			return now, nil
		})
		var requests sync.WaitGroup
		for i := range int64(200) {
			requests.Go(func() {
				<-time.After(time.Duration(i) * time.Millisecond)
				least := written.Add(1)
				if got, err := s.get(t.Context(), "key", waitHere); err != nil || got < least {
					t.Errorf("after %d writes the answer knows %d, %v", least, got, err)
				}
			})
		}
		requests.Wait()
		if len(s.lines) != 0 {
			t.Errorf("%d lines are left", len(s.lines))
		}
	})
}

func TestRequestsShareCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lookups{take: func(int64) time.Duration { return time.Millisecond }}
		s := newShared(l.find)
		var requests sync.WaitGroup
		for i := range 1000 {
			requests.Go(func() {
				<-time.After(time.Duration(i%100) * time.Millisecond)
				begun := time.Now()
				if _, err := s.get(t.Context(), "key", waitHere); err != nil || time.Since(begun) > apart+2*time.Millisecond {
					t.Errorf("an answer after %v, %v", time.Since(begun), err)
				}
			})
		}
		requests.Wait()
		if n := l.calls.Load(); n < 9 || n > 13 {
			t.Errorf("requests in 100 ms took %d calls", n)
		}
	})
}

func TestALoneClientDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lookups{take: func(int64) time.Duration { return time.Millisecond }}
		s := newShared(l.find)
		begun := time.Now()
		for i := range int64(100) {
			if n, err := s.get(t.Context(), "key", waitHere); n != i+1 || err != nil {
				t.Errorf("call %d: %d, %v", i+1, n, err)
			}
		}
		if took := time.Since(begun); took != 100*time.Millisecond {
			t.Errorf("100 calls took %v", took)
		}
	})
}

// A call that hangs delays the next one by a second, and calls for other keys not at all.
func TestACallThatHangsIsOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lookups{take: func(n int64) time.Duration {
			if n == 1 {
				return 30 * time.Second
			}
			return time.Millisecond
		}}
		s := newShared(l.find)
		var requests sync.WaitGroup
		ask := func(key string, within time.Duration) {
			requests.Go(func() {
				begun := time.Now()
				if _, err := s.get(t.Context(), key, waitHere); err != nil || time.Since(begun) > within {
					t.Errorf("an answer for %s after %v, %v", key, time.Since(begun), err)
				}
			})
			synctest.Wait()
		}
		ask("key", 30*time.Second) // hangs
		ask("other", time.Millisecond)
		for range 50 {
			ask("key", overtake+time.Millisecond)
			<-time.After(100 * time.Millisecond)
		}
		requests.Wait()
		if len(s.lines) != 0 {
			t.Errorf("%d lines are left", len(s.lines))
		}
	})
}

// A call goes on if the request that makes it is gone, up to a deadline of its own.
func TestACallOutlivesTheRequestThatMakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lookups{take: func(n int64) time.Duration {
			if n == 3 {
				return time.Hour
			}
			return 100 * time.Millisecond
		}}
		s := newShared(l.find)
		ask := func(ctx context.Context, requests int, want error) {
			var all sync.WaitGroup
			for range requests {
				all.Go(func() {
					if _, err := s.get(ctx, "key", waitHere); !errors.Is(err, want) {
						t.Errorf("a request gets %v, want %v", err, want)
					}
				})
			}
			all.Wait()
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		ask(gone, 10, nil)
		if n := l.calls.Load(); n != 2 {
			t.Errorf("%d calls were made, want 2", n)
		}
		ask(t.Context(), 1, context.DeadlineExceeded)
	})
}

func TestAPanicIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics := true
		s := newShared(func(context.Context, string) (int, error) {
			<-time.After(20 * time.Millisecond)
			if panics {
				panic("a bug")
			}
			return 1, nil
		})
		ask := func() (bug any, err error) {
			defer func() { bug = recover() }()
			_, err = s.get(t.Context(), "key", waitHere)
			return nil, err
		}
		var failed, panicked atomic.Int64
		var requests sync.WaitGroup
		for range 4 { // one makes a call, one makes the next, which two share
			requests.Go(func() {
				bug, err := ask()
				if err != nil {
					failed.Add(1)
				}
				if bug != nil {
					panicked.Add(1)
				}
			})
			synctest.Wait()
		}
		requests.Wait()
		if failed.Load() != 2 || panicked.Load() != 2 {
			t.Errorf("%d requests failed and %d panicked, want 2 and 2", failed.Load(), panicked.Load())
		}
		panics = false
		_, err := s.get(t.Context(), "key", waitHere)
		expect.NoError(t, err)
	})
}
