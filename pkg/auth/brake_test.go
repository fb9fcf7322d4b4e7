package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	errUnknown = errors.New("no answer")
	mine       = Login{AccessKeyID: "key", Address: "192.0.2.1"}
)

// attempt tries a login and tells how long the answer took.
func attempt(t *testing.T, b *Brake, l Login, right bool) (ok bool, took time.Duration, err error) {
	t.Helper()
	begun := time.Now()
	ok, err = b.Try(t.Context(), l, func() (bool, error) { return right, nil })
	return ok, time.Since(begun), err
}

// fail is an attempt with a wrong secret.
func fail(t *testing.T, b *Brake, l Login) {
	t.Helper()
	if ok, _, err := attempt(t, b, l, false); ok || err != nil {
		t.Fatalf("a wrong secret: %t, %v", ok, err)
	}
}

func TestFailuresAreAnsweredLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(time.Now)
		want := []time.Duration{0, 0, 0, 0, 0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, maxPause, maxPause}
		for i, want := range want {
			if ok, took, err := attempt(t, b, mine, false); ok || took != want || err != nil {
				t.Errorf("failure %d: %t after %v, %v, want %v", i+1, ok, took, err, want)
			}
			if ok, took, err := attempt(t, b, mine, true); !ok || took != 0 || err != nil {
				t.Errorf("the right secret after %d failures: %t after %v, %v", i+1, ok, took, err)
			}
			for _, other := range []Login{{"key", "192.0.2.2"}, {"other", mine.Address}} {
				if ok, took, err := attempt(t, b, other, true); !ok || took != 0 || err != nil {
					t.Errorf("%+v after %d failures of another: %t after %v, %v", other, i+1, ok, took, err)
				}
			}
		}
		<-time.After(forgetAfter - maxPause - time.Nanosecond) // the last one was counted before its pause
		if _, took, _ := attempt(t, b, mine, false); took != maxPause {
			t.Errorf("just before it is forgotten a failure takes %v", took)
		}
		<-time.After(forgetAfter)
		if _, took, _ := attempt(t, b, mine, false); took != 0 {
			t.Errorf("after it was forgotten a failure takes %v", took)
		}
	})
}

// A flood of guesses gets few answers, and keeps out nobody but the address that it
// comes from, and that only while it goes on.
func TestAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBrake(time.Now)
		for range freeFailures {
			fail(t, b, mine)
		}
		checked, refused := 0, 0
		var mu sync.Mutex
		var flood sync.WaitGroup
		begun := time.Now()
		for range 1000 {
			flood.Go(func() {
				_, err := b.Try(t.Context(), mine, func() (bool, error) {
					mu.Lock()
					defer mu.Unlock()
					checked++
					return false, nil
				})
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrSlowDown) {
					refused++
				}
			})
		}
		synctest.Wait()
		if checked != maxWaiting || refused != 1000-maxWaiting {
			t.Errorf("of 1000 guesses %d were checked and %d refused, want %d and %d", checked, refused, maxWaiting, 1000-maxWaiting)
		}
		if _, _, err := attempt(t, b, mine, true); !errors.Is(err, ErrSlowDown) {
			t.Errorf("the right secret in the midst of the flood: %v", err)
		}
		if ok, took, err := attempt(t, b, Login{"key", "2001:db8::"}, true); !ok || took != 0 || err != nil {
			t.Errorf("from elsewhere: %t after %v, %v", ok, took, err)
		}
		flood.Wait()
		if took := time.Since(begun); took != 4*time.Second {
			t.Errorf("the guesses took %v", took)
		}
		if ok, took, err := attempt(t, b, mine, true); !ok || took != 0 || err != nil {
			t.Errorf("the right secret after the flood: %t after %v, %v", ok, took, err)
		}
	})
}

func TestWhoDoesNotWaitLeaves(t *testing.T) {
	b := NewBrake(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 3 * maxWaiting {
		ok, err := b.Try(ctx, mine, func() (bool, error) { return false, nil })
		if ok || !errors.Is(err, context.Canceled) {
			t.Errorf("failure %d: %t, %v", i+1, ok, err)
		}
	}
}

// What cannot be found out is no failure.
func TestErrorsAreNoFailures(t *testing.T) {
	b := NewBrake(time.Now)
	for range 10 * freeFailures {
		if ok, err := b.Try(t.Context(), mine, func() (bool, error) { return false, errUnknown }); ok || !errors.Is(err, errUnknown) {
			t.Fatalf("%t, %v", ok, err)
		}
	}
	if len(b.of) != 0 {
		t.Error("errors are remembered as failures")
	}
}

// However many logins fail, those that failed last are remembered, and no more of them
// than there is room for.
func TestTheTableIsBounded(t *testing.T) {
	b := NewBrake(time.Now)
	of := func(i int) Login { return Login{AccessKeyID: fmt.Sprint(i), Address: "192.0.2.1"} }
	for i := range maxLogins + 100 {
		fail(t, b, of(i))
		if i%5000 == 0 {
			fail(t, b, of(0))
		}
	}
	if len(b.of) != maxLogins || b.recent.Len() != maxLogins {
		t.Errorf("%d logins are remembered, in a list of %d, want %d", len(b.of), b.recent.Len(), maxLogins)
	}
	remembered := func(i int) bool {
		n := len(b.of)
		if ok, _, err := attempt(t, b, of(i), true); !ok || err != nil || len(b.of) != n { // it is not remembered
			t.Errorf("the right secret: %t, %v, of %d logins %d are remembered", ok, err, n, len(b.of))
		}
		for _, e := range b.of {
			if f := e.Value.(*failures); f.login == of(i).hash() {
				return true
			}
		}
		return false
	}
	if remembered(1) || !remembered(0) || !remembered(maxLogins+99) {
		t.Error("what failed last was forgotten before what failed first")
	}
}
