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
	afters []string    // of each List
	called func()      // at each call; may be nil
	at     []time.Time // of each call
}

func (f *flaky) next() error {
	f.at = append(f.at, time.Now())
	if f.called != nil {
		f.called()
	}
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *flaky) List(_ context.Context, _, after string, _ objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	f.afters = append(f.afters, after)
	return func(yield func([]objectstore.Listed, error) bool) {
		for _, key := range f.keys {
			if key <= after {
				continue
			}
			if err := f.next(); err != nil {
				yield(nil, err)
				return
			}
			if !yield([]objectstore.Listed{{Key: []byte(key)}}, nil) {
				return
			}
		}
	}
}

func (f *flaky) Stat(_ context.Context, key string) (objectstore.Object, error) {
	return objectstore.Object{Key: key}, f.next()
}

func (f *flaky) Get(_ context.Context, key string, _ int64) ([]byte, error) {
	return []byte(key), f.next()
}

func (f *flaky) GetRange(_ context.Context, key string, _, _ int64) ([]byte, int64, error) {
	return []byte(key), int64(len(key)), f.next()
}

func (f *flaky) Put(_ context.Context, _ string, _ []byte, _ objectstore.Sum) error {
	return f.next()
}

// expectDelays checks that the delays between the calls are at most these.
func (f *flaky) expectDelays(t *testing.T, bounds ...time.Duration) {
	t.Helper()
	if len(f.at) != len(bounds)+1 {
		t.Fatalf("%d calls, want %d", len(f.at), len(bounds)+1)
	}
	for i, bound := range bounds {
		if d := f.at[i+1].Sub(f.at[i]); d < 0 || d > bound {
			t.Errorf("call %d came after %v, want at most %v", i+1, d, bound)
		}
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
	synctest.Test(t, testListGoesOn)
}

func testListGoesOn(t *testing.T) {
	f := &flaky{keys: []string{"a", "b", "c"}, errs: []error{errDown, nil, errDown, errDown, nil, errDown, errDown}}
	reg := prometheus.NewRegistry()
	keys, err := list(t.Context(), retry.New(reg).Wrap(f))
	if err != nil || !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Errorf("listed %q, %v, want each key once", keys, err)
	}
	if want := []string{"", "", "a", "a", "b", "b"}; !slices.Equal(f.afters, want) {
		t.Errorf("listed after %q, want %q", f.afters, want)
	}
	// A page starts the tries, and the delays, afresh.
	const first, second = 500 * time.Millisecond, time.Second
	f.expectDelays(t, first, 0, first, second, 0, first, second)
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
			{"works at the last try", down(9), 10, nil},
			{"bounded", down(99), 10, errDown},
			{"not found is for good", []error{objectstore.ErrNotFound}, 1, objectstore.ErrNotFound},
			{"refused is for good", []error{errDown, fmt.Errorf("no: %w", objectstore.ErrRefused)}, 2, objectstore.ErrRefused},
			{"too large is for good", []error{objectstore.TooLarge(2, 1)}, 1, objectstore.ErrTooLarge},
			{"bad listing is for good", []error{objectstore.ErrBadListing}, 1, objectstore.ErrBadListing},
		} {
			t.Run(name+" "+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &flaky{keys: []string{"k"}, errs: tc.errs}
					told := 0
					err := call(t.Context(), retry.New(prometheus.NewRegistry()).Wrap(f).Telling(func(error) { told++ }))
					if !errors.Is(err, tc.want) || len(f.at) != tc.calls {
						t.Fatalf("%v after %d calls, want %v after %d", err, len(f.at), tc.want, tc.calls)
					}
					if told != tc.calls-1 {
						t.Errorf("%d repeated calls were told of %d", told, tc.calls)
					}
					bounds := slices.Repeat([]time.Duration{10 * time.Second}, 9)
					copy(bounds, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second})
					f.expectDelays(t, bounds[:tc.calls-1]...)
					if took := f.at[tc.calls-1].Sub(f.at[0]); tc.calls == 10 && took == 0 {
						t.Error("no call was delayed")
					}
				})
			})
		}
	}
}

func TestCancelledStopsAtOnce(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			f := &flaky{keys: []string{"k"}, errs: []error{errDown}, called: cancel}
			err := call(ctx, retry.New(prometheus.NewRegistry()).Wrap(f))
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errDown) || len(f.at) != 1 {
				t.Errorf("%v after %d calls, want context.Canceled after 1", err, len(f.at))
			}
		})
	}
}
