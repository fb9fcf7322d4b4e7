package retry_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/retry"
)

var errDown = errors.New("the store is down")

// flaky holds one object a page. Each call, and each page, fails with the next of errs unless
// that is nil.
type flaky struct {
	keys   []string
	errs   []error
	calls  int
	afters []string                        // of each List
	hang   func(ctx context.Context) error // taken instead of errs if set
}

func (f *flaky) next(ctx context.Context) error {
	f.calls++
	if f.hang != nil {
		return f.hang(ctx)
	}
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *flaky) List(ctx context.Context, _, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	f.afters = append(f.afters, after)
	return func(yield func([]objectstore.Listed, error) bool) {
		for _, key := range f.keys {
			if key <= after {
				continue
			}
			if err := f.next(ctx); err != nil {
				yield(nil, err)
				return
			}
			if !yield([]objectstore.Listed{{Key: []byte(key)}}, nil) {
				return
			}
		}
	}
}

func (f *flaky) Stat(ctx context.Context, key string) (objectstore.Object, error) {
	return objectstore.Object{Key: key}, f.next(ctx)
}

func (f *flaky) Get(ctx context.Context, key string, _ int64) ([]byte, error) {
	return []byte(key), f.next(ctx)
}

func (f *flaky) GetRange(ctx context.Context, key string, _, _ int64) ([]byte, int64, error) {
	return []byte(key), int64(len(key)), f.next(ctx)
}

func (f *flaky) Put(ctx context.Context, _ string, _ []byte, _ objectstore.Sum) error {
	return f.next(ctx)
}

// policy tries three times. Its delays have no jitter, and take no time.
func policy(delays *[]time.Duration) retry.Policy {
	return retry.Policy{
		Attempts: 3, Base: time.Second, Max: 3 * time.Second,
		Sleep:  func(ctx context.Context, d time.Duration) error { *delays = append(*delays, d); return ctx.Err() },
		Jitter: func(d time.Duration) time.Duration { return d },
	}
}

func list(ctx context.Context, s objectstore.Store) (keys []string, err error) {
	for page, err := range s.List(ctx, "", "", objectstore.ListOptions{}) {
		if err != nil {
			return keys, err
		}
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
	}
	return keys, nil
}

func TestListGoesOn(t *testing.T) {
	var delays []time.Duration
	f := &flaky{keys: []string{"a", "b", "c"}, errs: []error{errDown, nil, errDown, errDown, nil, errDown, errDown}}
	reg := prometheus.NewRegistry()
	keys, err := list(t.Context(), retry.New(policy(&delays), reg).Wrap(f))
	if err != nil || !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Errorf("listed %q, %v, want each key once", keys, err)
	}
	if want := []string{"", "", "a", "a", "b", "b"}; !slices.Equal(f.afters, want) {
		t.Errorf("listed after %q, want %q", f.afters, want)
	}
	// A page starts the tries, and the delays, afresh.
	if want := []time.Duration{1e9, 1e9, 2e9, 1e9, 2e9}; !slices.Equal(delays, want) {
		t.Errorf("waited %v, want %v", delays, want)
	}
	want := `# HELP rangefleet_objectstore_retries_total Calls to object stores that were tried again after a transient error.
# TYPE rangefleet_objectstore_retries_total counter
rangefleet_objectstore_retries_total{operation="get"} 0
rangefleet_objectstore_retries_total{operation="list"} 5
rangefleet_objectstore_retries_total{operation="put"} 0
rangefleet_objectstore_retries_total{operation="stat"} 0
`
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := answer.Body.String(); got != want {
		t.Errorf("metrics are\n%s\nwant\n%s", got, want)
	}
}

// calls are the store's methods. Only their errors count.
var calls = map[string]func(context.Context, objectstore.Store) error{
	"list": func(ctx context.Context, s objectstore.Store) error { _, err := list(ctx, s); return err },
	"stat": func(ctx context.Context, s objectstore.Store) error { _, err := s.Stat(ctx, "k"); return err },
	"get":  func(ctx context.Context, s objectstore.Store) error { _, err := s.Get(ctx, "k", 1<<20); return err },
	"get a range": func(ctx context.Context, s objectstore.Store) error {
		_, _, err := s.GetRange(ctx, "k", 0, 1)
		return err
	},
	"put": func(ctx context.Context, s objectstore.Store) error { return s.Put(ctx, "k", nil, objectstore.Sum{}) },
}

func TestEveryCall(t *testing.T) {
	down := func(n int) []error { return slices.Repeat([]error{errDown}, n) }
	for name, call := range calls {
		for _, tc := range []struct {
			name  string
			errs  []error
			calls int
			want  error
		}{
			{"works", nil, 1, nil},
			{"works at the last try", down(2), 3, nil},
			{"bounded", down(9), 3, errDown},
			{"not found is for good", []error{objectstore.ErrNotFound}, 1, objectstore.ErrNotFound},
			{"refused is for good", []error{errDown, fmt.Errorf("no: %w", objectstore.ErrRefused)}, 2, objectstore.ErrRefused},
			{"too large is for good", []error{objectstore.TooLarge(2, 1)}, 1, objectstore.ErrTooLarge},
			{"bad listing is for good", []error{objectstore.ErrBadListing}, 1, objectstore.ErrBadListing},
		} {
			t.Run(name+" "+tc.name, func(t *testing.T) {
				var delays []time.Duration
				f := &flaky{keys: []string{"k"}, errs: tc.errs}
				err := call(t.Context(), retry.New(policy(&delays), prometheus.NewRegistry()).Wrap(f))
				if !errors.Is(err, tc.want) || f.calls != tc.calls || len(delays) != tc.calls-1 {
					t.Errorf("%v after %d calls and %d delays, want %v after %d", err, f.calls, len(delays), tc.want, tc.calls)
				}
			})
		}
	}
}

func TestCancelledStopsAtOnce(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var delays []time.Duration
			f := &flaky{keys: []string{"k"}, hang: func(context.Context) error { cancel(); return errDown }}
			err := call(ctx, retry.New(policy(&delays), prometheus.NewRegistry()).Wrap(f))
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errDown) || f.calls != 1 || len(delays) != 0 {
				t.Errorf("%v after %d calls and %d delays, want context.Canceled after 1 and 0", err, f.calls, len(delays))
			}
		})
	}
}

// TestTimeout meets a store that hangs, on a fake clock.
func TestTimeout(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := retry.Policy{
					Attempts: 3, Base: time.Second, Max: time.Second, Timeout: time.Minute,
					Jitter: func(d time.Duration) time.Duration { return d },
				}
				f := &flaky{keys: []string{"k"}, hang: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
				start := time.Now()
				err := call(t.Context(), retry.New(p, prometheus.NewRegistry()).Wrap(f))
				if took := time.Since(start); err == nil || f.calls != 3 || took != 3*time.Minute+2*time.Second {
					t.Errorf("%v after %d calls and %v, want an error after 3 tries of a minute", err, f.calls, took)
				}
			})
		})
	}
}

// TestTimeoutIsOfOnePage checks that a slow consumer does not exceed it.
func TestTimeoutIsOfOnePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{Attempts: 1, Timeout: time.Minute}
		f := &flaky{keys: []string{"a", "b", "c"}, hang: func(ctx context.Context) error {
			select {
			case <-time.After(50 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		n := 0
		for _, err := range retry.New(p, prometheus.NewRegistry()).Wrap(f).List(t.Context(), "", "", objectstore.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			<-time.After(time.Hour)
		}
		if n != 3 {
			t.Errorf("listed %d pages, want 3", n)
		}
	})
}

func TestDefaultPolicyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{errs: slices.Repeat([]error{errDown}, 99)}
		start := time.Now()
		_, err := retry.New(retry.DefaultPolicy, prometheus.NewRegistry()).Wrap(f).Stat(t.Context(), "k")
		if took := time.Since(start); !errors.Is(err, errDown) || f.calls != 10 || took <= 0 || took > time.Minute {
			t.Errorf("%v after %d calls and %v, want 10 within a minute", err, f.calls, took)
		}
	})
}
