package await_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
)

func TestUntil(t *testing.T) {
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		answer func(n int) (bool, error)
		asked  int
		err    error
	}{
		"at once":         {func(int) (bool, error) { return true, nil }, 1, nil},
		"after a while":   {func(n int) (bool, error) { return n == 5, nil }, 5, nil},
		"asking fails":    {func(n int) (bool, error) { return false, refused }, 1, refused},
		"yes with errors": {func(n int) (bool, error) { return true, refused }, 1, refused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				err := await.Until(t.Context(), time.Minute, func(context.Context) (bool, error) { n++; return c.answer(n) })
				if n != c.asked || !errors.Is(err, c.err) {
					t.Errorf("asked %d times: %v, want %d times and %v", n, err, c.asked, c.err)
				}
			})
		})
	}
}

func TestUntilGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(ctx context.Context) (bool, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Fatal("the context of ask has no deadline")
			}
			return false, nil
		}
		start := time.Now()
		if err := await.Until(t.Context(), time.Minute, never); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := await.Until(ended, time.Minute, never); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

func TestServing(t *testing.T) {
	code := http.StatusServiceUnavailable
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
	for _, code = range []int{http.StatusServiceUnavailable, http.StatusOK, http.StatusNotFound} {
		if ok, err := await.Serving(s.URL)(t.Context()); ok != (code == http.StatusOK) || err != nil {
			t.Errorf("%d: %t, %v", code, ok, err)
		}
	}
	s.Close()
	if ok, err := await.Serving(s.URL)(t.Context()); ok || err != nil {
		t.Errorf("a server that is down: %t, %v", ok, err)
	}
	if _, err := await.Serving("no URL:")(t.Context()); err == nil {
		t.Error("no error for an invalid URL")
	}
}
