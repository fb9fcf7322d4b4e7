package readahead_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

// page is a page of keys.
type page []string

func (p page) Len() int                           { return len(p) }
func (p page) AppendKey(dst []byte, i int) []byte { return append(dst, p[i]...) }
func (p page) ModTime(int) int64                  { return 0 }
func (p page) Bytes() int                         { return 100 * len(p) }
func (p page) Head(n int) page                    { return p[:n] }
func (p page) Tail(n int) page                    { return p[n:] }

// store is a sorted set of keys, with what real stores do wrong.
type store struct {
	keys    []string
	size    int // of a page
	latency func() time.Duration
	fault   func(call int) error
	spoil   func(s *store, prefix, after string, honest int) int // where the page starts
	ends    func(after string) (keys int, end bool)              // whether the page is said to be the last, and has so many keys at most
	walk    func(prefix, token string) (page, string, error)     // instead of honest

	mu       sync.Mutex
	calls    int
	inFlight int
	peak     int
}

// call counts a call, and lets it take its time or fail.
func (s *store) call(ctx context.Context) error {
	s.mu.Lock()
	s.calls++
	call := s.calls
	s.inFlight++
	s.peak = max(s.peak, s.inFlight)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inFlight--
		s.mu.Unlock()
	}()
	if s.latency != nil {
		select {
		case <-time.After(s.latency()):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.fault != nil {
		return s.fault(call)
	}
	return nil
}

func (s *store) ListPage(ctx context.Context, prefix, after string) (page, bool, error) {
	if err := s.call(ctx); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	keys := s.keys
	s.mu.Unlock()
	lo := sort.Search(len(keys), func(i int) bool { return keys[i] > after && keys[i] >= prefix })
	if s.spoil != nil {
		lo = s.spoil(s, prefix, after, lo)
	}
	end := sort.Search(len(keys), func(i int) bool { return keys[i] >= prefix && !strings.HasPrefix(keys[i], prefix) })
	hi := min(lo+s.size, end)
	if s.ends != nil {
		if most, ends := s.ends(after); ends {
			return slices.Clone(page(keys[min(lo, hi):min(lo+most, hi)])), false, nil
		}
	}
	return slices.Clone(page(keys[min(lo, hi):hi])), hi < end, nil
}

// WalkPage takes the number of keys that were listed before for a token.
func (s *store) WalkPage(ctx context.Context, prefix, token string) (page, string, error) {
	if err := s.call(ctx); err != nil {
		return nil, "", err
	}
	if s.walk != nil {
		return s.walk(prefix, token)
	}
	return s.honest(prefix, token)
}

func (s *store) honest(prefix, token string) (page, string, error) {
	from := 0
	if token != "" {
		if _, err := fmt.Sscan(token, &from); err != nil {
			return nil, "", fmt.Errorf("token %q: %w", token, objectstore.ErrRefused)
		}
	}
	keys := s.under(prefix)
	to := min(from+s.size, len(keys))
	if to == len(keys) {
		return slices.Clone(page(keys[from:])), "", nil
	}
	return slices.Clone(page(keys[from:to])), fmt.Sprint(to), nil
}

func (s *store) under(prefix string) (keys []string) {
	if prefix == "" {
		return s.keys
	}
	for _, k := range s.keys {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (s *store) has(key string) bool {
	_, ok := slices.BinarySearch(s.keys, key)
	return ok
}

func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("data/%08d", i)
	}
	return keys
}

func lister(s *store, l readahead.Limits, cfg readahead.Config) *readahead.Lister[page] {
	cfg.Limiter = readahead.NewLimiter(l)
	return readahead.NewLister(s, cfg, readahead.NewMetrics(prometheus.NewRegistry()))
}

func list(ctx context.Context, l *readahead.Lister[page], prefix, after, upto string) ([]string, error) {
	return collect(l.List(ctx, prefix, after, objectstore.ReadTo(upto)))
}

// collect returns the keys of pages.
func collect(pages iter.Seq2[page, error]) ([]string, error) {
	var keys []string
	for p, err := range pages {
		if err != nil {
			return keys, err
		}
		keys = append(keys, p...)
	}
	return keys, nil
}

func milliseconds(r *rand.Rand, lo, hi int) func() time.Duration {
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(lo+r.IntN(hi-lo)) * time.Millisecond
	}
}

func TestMillionKeysAreListedInTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{keys: numbered(1_000_000), size: 1000, latency: milliseconds(seeded.Rand(t), 30, 70)}
		begin := time.Now()
		keys, err := list(t.Context(), lister(s, readahead.Limits{}, readahead.Config{}), "data/", "", "")
		if err != nil || !slices.Equal(keys, s.keys) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		took := time.Since(begin)
		t.Logf("%v, %d calls, at most %d in flight", took, s.calls, s.peak)
		if took > 2*time.Second {
			t.Errorf("took %v", took)
		}
		if s.calls > 1150 {
			t.Errorf("%d calls", s.calls)
		}
	})
}

func TestEveryKeyIsListedOnceInOrder(t *testing.T) {
	r := seeded.Rand(t)
	for range 60 {
		synctest.Test(t, func(t *testing.T) {
			keys := make([]string, r.IntN(5000))
			for i := range keys {
				keys[i] = []string{"a/", "a", "b/c/", "z", "é"}[r.IntN(5)] + strings.Repeat("z", r.IntN(4)) + fmt.Sprint(r.IntN(3000))
			}
			slices.Sort(keys)
			keys = slices.Compact(keys)
			prefix := []string{"", "a", "a/", "b/c/", "none"}[r.IntN(5)]
			after := ""
			if len(keys) > 0 && r.IntN(2) == 0 {
				after = keys[r.IntN(len(keys))]
			}
			upto := ""
			if r.IntN(2) == 0 {
				upto = "a/" + fmt.Sprint(r.IntN(3000))
			}
			var want []string
			for _, k := range keys {
				if k > after && strings.HasPrefix(k, prefix) {
					want = append(want, k)
				}
			}
			s := &store{keys: keys, size: 1 + r.IntN(30), latency: milliseconds(r, 1, 100)}
			faulty := rand.New(rand.NewPCG(r.Uint64(), 0))
			s.fault = func(int) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				switch faulty.IntN(20) {
				case 0:
					return errSlowDown
				case 1:
					return errors.New("connection reset")
				}
				return nil
			}
			limits := readahead.Limits{Most: 1 + r.IntN(40), Buffer: 1 + r.IntN(300_000)}
			got, err := list(t.Context(), lister(s, limits, readahead.Config{}), prefix, after, upto)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("prefix %q after %q upto %q: %d keys of %d, %v", prefix, after, upto, len(got), len(want), err)
			}
		})
	}
}

var errSlowDown = fmt.Errorf("SlowDown: %w", objectstore.ErrThrottled)

func TestSmallListingsCostLittle(t *testing.T) {
	for _, c := range []struct {
		keys  int
		upto  string
		calls int
	}{
		{0, "", 1}, {1, "", 1}, {999, "", 1}, {1000, "", 1}, // one page is one call
		{1001, "", 12}, {5000, "", 17}, // its end has to be looked for
		{1001, "data/00001000", 3}, {5000, "data/00004999", 9}, // its end is known
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &store{keys: numbered(c.keys), size: 1000, latency: milliseconds(seeded.Rand(t), 30, 70)}
			keys, err := list(t.Context(), lister(s, readahead.Limits{}, readahead.Config{}), "data/", "", c.upto)
			if err != nil || len(keys) != c.keys || s.calls > c.calls {
				t.Errorf("%d keys upto %q: listed %d with %d calls, %v", c.keys, c.upto, len(keys), s.calls, err)
			}
		})
	}
}

func TestLittleIsListedBeyondUpto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{keys: numbered(1_000_000), size: 1000, latency: milliseconds(seeded.Rand(t), 30, 70)}
		const upto = "data/00200000"
		for p, err := range lister(s, readahead.Limits{}, readahead.Config{}).List(t.Context(), "data/", "", objectstore.ReadTo(upto)) {
			if err != nil {
				t.Fatal(err)
			}
			if p[len(p)-1] > upto {
				break
			}
		}
		if s.calls > 200+60 {
			t.Errorf("%d calls for 200 pages", s.calls)
		}
	})
}

func TestStoresThatIgnoreTheStart(t *testing.T) {
	keys := numbered(60_000)
	cases := map[string]struct {
		spoil func(s *store, prefix, after string, honest int) int
	}{
		"skips a key where the start names none": {spoil: func(s *store, _, after string, honest int) int {
			if after != "" && !s.has(after) {
				return honest + 1
			}
			return honest
		}},
		"ignores a start that names no key": {spoil: func(s *store, _, after string, honest int) int {
			if !s.has(after) {
				return 0
			}
			return honest
		}},
		"ignores every start": {spoil: func(*store, string, string, int) int { return 0 }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &store{keys: keys, size: 100, spoil: c.spoil, latency: milliseconds(seeded.Rand(t), 30, 70)}
				got, err := list(t.Context(), lister(s, readahead.Limits{}, readahead.Config{}), "", "", "")
				if err != nil || !slices.Equal(got, keys) {
					t.Errorf("got %d of %d keys, %v", len(got), len(keys), err)
				}
			})
		})
	}
}

func TestThrottlingSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{keys: numbered(300_000), size: 1000, latency: milliseconds(seeded.Rand(t), 30, 70)}
		s.fault = func(int) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.inFlight > 8 {
				return errSlowDown
			}
			return nil
		}
		var told atomic.Int64
		l := lister(s, readahead.Limits{}, readahead.Config{})
		l.Tell(func(cause error) {
			if errors.Is(cause, objectstore.ErrThrottled) {
				told.Add(1)
			}
		})
		got, err := list(t.Context(), l, "", "", "")
		if err != nil || len(got) != 300_000 {
			t.Fatalf("%d keys, %v", len(got), err)
		}
		t.Logf("%d calls", s.calls)
		if told.Load() == 0 {
			t.Error("no call was said to be repeated because the store throttled it")
		}
		if s.calls > 300*3/2 {
			t.Errorf("%d calls for 300 pages", s.calls)
		}
	})
}

func TestCancelStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		ctx, cancel := context.WithCancel(t.Context())
		s := &store{keys: numbered(300_000), size: 1000, latency: milliseconds(seeded.Rand(t), 30, 70)}
		n := 0
		var began time.Time
		for _, err := range lister(s, readahead.Limits{}, readahead.Config{}).List(ctx, "", "", objectstore.ListOptions{}) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				break
			}
			if n++; n == 20 {
				cancel()
				began = time.Now()
			}
		}
		cancel()
		if n != 20 || time.Since(began) != 0 {
			t.Errorf("%d pages, %v after cancel", n, time.Since(began))
		}
	})
}

func TestErrors(t *testing.T) {
	for name, want := range map[string]error{"refused": objectstore.ErrRefused, "not found": objectstore.ErrNotFound, "transient": errSlowDown} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &store{keys: numbered(30_000), size: 100, fault: func(call int) error {
					if call > 30 {
						return want
					}
					return nil
				}}
				got, err := list(t.Context(), lister(s, readahead.Limits{}, readahead.Config{}), "", "", "")
				if !errors.Is(err, want) || !slices.Equal(got, s.keys[:len(got)]) {
					t.Errorf("%d keys, %v", len(got), err)
				}
			})
		})
	}
}
