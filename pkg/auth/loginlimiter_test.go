package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
)

var (
	errUnknown = errors.New("no answer")
	mine       = Login{AccessKeyID: "key", Address: "192.0.2.1"}
)

// attempt tries a login, and returns how long the answer took.
func attempt(t *testing.T, l *LoginLimiter, login Login, right bool) (ok bool, took time.Duration, err error) {
	t.Helper()
	begun := time.Now()
	ok, err = l.Try(t.Context(), login, func() (bool, error) { return right, nil })
	return ok, time.Since(begun), err
}

// fail is an attempt with a wrong secret.
func fail(t *testing.T, l *LoginLimiter, login Login) {
	t.Helper()
	if ok, _, err := attempt(t, l, login, false); ok || err != nil {
		t.Fatalf("a wrong secret: %t, %v", ok, err)
	}
}

func TestAnswersToFailuresAreDelayedMoreAndMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoginLimiter(time.Now, pause.For)
		want := []time.Duration{0, 0, 0, 0, 0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, maxPause, maxPause}
		for i, want := range want {
			if ok, took, err := attempt(t, l, mine, false); ok || took != want || err != nil {
				t.Errorf("failure %d: %t after %v, %v, want %v", i+1, ok, took, err, want)
			}
			if ok, took, err := attempt(t, l, mine, true); !ok || took != 0 || err != nil {
				t.Errorf("the right secret after %d failures: %t after %v, %v", i+1, ok, took, err)
			}
			for _, other := range []Login{{AccessKeyID: "key", Address: "192.0.2.2"}, {AccessKeyID: "other", Address: mine.Address}} {
				if ok, took, err := attempt(t, l, other, true); !ok || took != 0 || err != nil {
					t.Errorf("%+v after %d failures of another: %t after %v, %v", other, i+1, ok, took, err)
				}
			}
		}
		<-time.After(forgetAfter - maxPause - time.Nanosecond) // it was counted before its pause
		if _, took, _ := attempt(t, l, mine, false); took != maxPause {
			t.Errorf("just before it is forgotten a failure takes %v", took)
		}
		<-time.After(forgetAfter)
		if _, took, _ := attempt(t, l, mine, false); took != 0 {
			t.Errorf("after it was forgotten a failure takes %v", took)
		}
	})
}

// A flood of guesses gets few answers. It locks out only the address that it comes from,
// and only as long as it lasts.
func TestAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoginLimiter(time.Now, pause.For)
		for range freeFailures {
			fail(t, l, mine)
		}
		checked, refused := 0, 0
		var mu sync.Mutex
		var flood sync.WaitGroup
		begun := time.Now()
		for range 1000 {
			flood.Go(func() {
				_, err := l.Try(t.Context(), mine, func() (bool, error) {
					mu.Lock()
					defer mu.Unlock()
					checked++
					return false, nil
				})
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, ErrTooManyLogins) {
					refused++
				}
			})
		}
		synctest.Wait()
		if checked != maxWaiting || refused != 1000-maxWaiting {
			t.Errorf("of 1000 guesses %d were checked and %d refused, want %d and %d", checked, refused, maxWaiting, 1000-maxWaiting)
		}
		if _, _, err := attempt(t, l, mine, true); !errors.Is(err, ErrTooManyLogins) {
			t.Errorf("the right secret in the midst of the flood: %v", err)
		}
		if ok, took, err := attempt(t, l, Login{AccessKeyID: "key", Address: "2001:db8::"}, true); !ok || took != 0 || err != nil {
			t.Errorf("from elsewhere: %t after %v, %v", ok, took, err)
		}
		flood.Wait()
		if took := time.Since(begun); took != 4*time.Second {
			t.Errorf("the guesses took %v", took)
		}
		if ok, took, err := attempt(t, l, mine, true); !ok || took != 0 || err != nil {
			t.Errorf("the right secret after the flood: %t after %v, %v", ok, took, err)
		}
	})
}

// A login that was right lately is checked while wrong ones wait, and is delayed once it is wrong.
func TestAnAcceptedLoginIsAlwaysChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLoginLimiter(time.Now, pause.For)
		for range freeFailures + 1 {
			fail(t, l, mine)
		}
		for range maxWaiting {
			go func() { _, _ = l.Try(t.Context(), mine, func() (bool, error) { return false, nil }) }()
		}
		synctest.Wait()
		if _, _, err := attempt(t, l, mine, true); !errors.Is(err, ErrTooManyLogins) {
			t.Errorf("while wrong ones wait: %v", err)
		}
		accepted := mine
		accepted.Accepted = true
		if ok, took, err := attempt(t, l, accepted, true); !ok || took != 0 || err != nil {
			t.Errorf("an accepted one: %t after %v, %v", ok, took, err)
		}
		if ok, took, err := attempt(t, l, accepted, false); ok || took == 0 || err != nil {
			t.Errorf("one that is wrong now: %t after %v, %v", ok, took, err)
		}
	})
}

func TestCanceledAttemptsDoNotWait(t *testing.T) {
	l := NewLoginLimiter(time.Now, pause.For)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 3 * maxWaiting {
		ok, err := l.Try(ctx, mine, func() (bool, error) { return false, nil })
		if ok || !errors.Is(err, context.Canceled) {
			t.Errorf("failure %d: %t, %v", i+1, ok, err)
		}
	}
}

func TestErrorsAreNotCountedAsFailures(t *testing.T) {
	l := NewLoginLimiter(time.Now, pause.For)
	for range 10 * freeFailures {
		if ok, err := l.Try(t.Context(), mine, func() (bool, error) { return false, errUnknown }); ok || !errors.Is(err, errUnknown) {
			t.Fatalf("%t, %v", ok, err)
		}
	}
	if len(l.byLogin) != 0 {
		t.Error("errors are remembered as failures")
	}
}

// However many logins fail, only the latest to fail are remembered, as many as there is
// room for.
func TestTheTableIsBounded(t *testing.T) {
	l := NewLoginLimiter(time.Now, pause.For)
	of := func(i int) Login { return Login{AccessKeyID: fmt.Sprint(i), Address: "192.0.2.1"} }
	for i := range maxLogins + 100 {
		fail(t, l, of(i))
		if i%5000 == 0 {
			fail(t, l, of(0))
		}
	}
	if len(l.byLogin) != maxLogins || l.recent.Len() != maxLogins {
		t.Errorf("%d logins are remembered, in a list of %d, want %d", len(l.byLogin), l.recent.Len(), maxLogins)
	}
	remembered := func(i int) bool {
		n := len(l.byLogin)
		if ok, _, err := attempt(t, l, of(i), true); !ok || err != nil || len(l.byLogin) != n { // it is not remembered
			t.Errorf("the right secret: %t, %v, of %d logins %d are remembered", ok, err, n, len(l.byLogin))
		}
		for _, e := range l.byLogin {
			if f := e.Value.(*failures); f.login == of(i).hash() {
				return true
			}
		}
		return false
	}
	if remembered(1) || !remembered(0) || !remembered(maxLogins+99) {
		t.Error("a login that failed later was forgotten before one that failed earlier")
	}
}
