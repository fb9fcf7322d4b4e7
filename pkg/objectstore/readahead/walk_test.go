package readahead_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

func walk(ctx context.Context, l *readahead.Lister[page], prefix string) ([]string, error) {
	return collect(l.Walk(ctx, prefix, objectstore.ListOptions{}))
}

func TestWalkListsByTokensAlone(t *testing.T) {
	r := seeded.Rand(t)
	for range 30 {
		synctest.Test(t, func(t *testing.T) {
			s := &store{keys: numbered(r.IntN(3000)), size: 1 + r.IntN(40), latency: milliseconds(r, 1, 100)}
			s.spoil = func(*store, string, string, int) int { panic("a walk asks for a start") }
			transient := r.IntN(7)
			s.fault = func(call int) error {
				if call%7 == transient {
					return errors.New("connection reset")
				}
				return nil
			}
			prefix := []string{"", "data/", "data/0000001", "none"}[r.IntN(4)]
			got, err := walk(t.Context(), lister(s, readahead.Limits{Buffer: 1 + r.IntN(30_000)}, readahead.Config{}), prefix)
			if err != nil || !slices.Equal(got, s.under(prefix)) {
				t.Fatalf("prefix %q: %d of %d keys, %v", prefix, len(got), len(s.under(prefix)), err)
			}
			if s.peak > 1 {
				t.Errorf("%d LISTs in flight at a time", s.peak)
			}
		})
	}
}

// The tokens of some stores repeat keys (S3Proxy), and some stores return empty pages that
// have a token.
func TestWalkOfOddChains(t *testing.T) {
	keys := numbered(100)
	from := func(s *store, prefix, token string, back int) (page, string, error) {
		p, next, err := s.honest(prefix, token)
		if token != "" && err == nil {
			var at int
			_, _ = fmt.Sscan(token, &at)
			p = append(slices.Clone(page(keys[at-back:at])), p...)
		}
		return p, next, err
	}
	for name, c := range map[string]struct {
		walk func(s *store, prefix, token string) (page, string, error)
		bad  bool
	}{
		"repeats the last key":    {func(s *store, prefix, token string) (page, string, error) { return from(s, prefix, token, 1) }, false},
		"repeats the page before": {func(s *store, prefix, token string) (page, string, error) { return from(s, prefix, token, 10) }, false},
		"goes back further": {func(s *store, prefix, token string) (page, string, error) {
			if token == "50" {
				return from(s, prefix, token, 21)
			}
			return s.honest(prefix, token)
		}, true},
		"an empty page now and then": {func(s *store, prefix, token string) (page, string, error) {
			if rest, again := strings.CutPrefix(token, "again "); again || token == "" {
				return s.honest(prefix, rest)
			}
			return nil, "again " + token, nil
		}, false},
		"leads to itself": {func(s *store, prefix, token string) (page, string, error) {
			if token == "50" {
				return nil, "50", nil
			}
			return s.honest(prefix, token)
		}, true},
		"goes round in circles": {func(s *store, prefix, token string) (page, string, error) {
			switch token {
			case "60":
				p, _, err := s.honest(prefix, "50")
				return p, "50", err
			case "50":
				p, _, err := s.honest(prefix, "50")
				return p, "60", err
			}
			return s.honest(prefix, token)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &store{keys: keys, size: 10}
				s.walk = func(prefix, token string) (page, string, error) { return c.walk(s, prefix, token) }
				got, err := walk(t.Context(), lister(s, readahead.Limits{}, readahead.Config{}), "")
				switch {
				case c.bad && !errors.Is(err, objectstore.ErrBadListing):
					t.Errorf("%d keys, %v, want ErrBadListing", len(got), err)
				case !c.bad && (err != nil || !slices.Equal(got, keys)):
					t.Errorf("%d of %d keys, %v", len(got), len(keys), err)
				}
			})
		})
	}
}

func TestWalkFetchesAheadWithinItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{keys: numbered(10_000), size: 100, latency: func() time.Duration { return 50 * time.Millisecond }}
		begin := time.Now()
		for p, err := range lister(s, readahead.Limits{}, readahead.Config{}).Walk(t.Context(), "", objectstore.ListOptions{}) {
			if err != nil || len(p) != 100 {
				t.Fatal(len(p), err)
			}
			<-time.After(40 * time.Millisecond) // of the fake clock: the consumer's work
		}
		if took, alone := time.Since(begin), 100*50*time.Millisecond; took > alone+100*time.Millisecond {
			t.Errorf("took %v, the LISTs alone %v", took, alone)
		}

		s = &store{keys: numbered(10_000), size: 100} // pages of 10,000 bytes
		for _, err := range lister(s, readahead.Limits{Buffer: 20_000}, readahead.Config{}).Walk(t.Context(), "", objectstore.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		synctest.Wait()
		if s.calls > 5 {
			t.Errorf("%d pages were fetched for a consumer that took one, of two that may be held", s.calls)
		}
	})
}

func TestWalkEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		ctx, cancel := context.WithCancel(t.Context())
		s := &store{keys: numbered(300_000), size: 100, latency: func() time.Duration { return time.Second }}
		n := 0
		var failed error
		for _, err := range lister(s, readahead.Limits{}, readahead.Config{}).Walk(ctx, "", objectstore.ListOptions{}) {
			if failed = err; err != nil {
				break
			}
			if n++; n == 5 {
				cancel()
			}
		}
		if !errors.Is(failed, context.Canceled) {
			t.Errorf("after %d pages a walk that was canceled ended with %v", n, failed)
		}
		cancel()
	})
}

// A store that loses the listings that its tokens stand for, as MinIO does when it restarts,
// claims an early end. It is walked again, and each key is handed over once.
func TestAWalkThatEndsEarlyIsWalkedAgain(t *testing.T) {
	r := seeded.Rand(t)
	for round := range 60 {
		synctest.Test(t, func(t *testing.T) {
			s := &store{keys: paths(r, 100+r.IntN(2000)), size: 1 + r.IntN(40)}
			lost, lies := fmt.Sprint(s.size*(1+r.IntN(len(s.keys)/s.size))), 1+r.IntN(maxLies)
			if round%10 == 0 {
				lies = 1 << 30
			}
			s.walk = func(prefix, token string) (page, string, error) {
				if token == lost && lies > 0 {
					lies--
					return nil, "", nil
				}
				return s.honest(prefix, token)
			}
			passed, had := 0, len(s.keys)/s.size-1
			if n, err := strconv.Atoi(lost); err == nil {
				had = n/s.size - 1
			}
			opts := objectstore.ListOptions{PassedOver: func() { passed++ }}
			lied := lies
			got, err := collect(lister(s, readahead.Limits{}, readahead.Config{ConfirmEnds: true}).Walk(t.Context(), "", opts))
			if err == nil && lost != fmt.Sprint(len(s.keys)) && passed < lied*had {
				t.Errorf("round %d: %d pages reported as passed over by a walk of %d pages that began again %d times", round, passed, had, lied)
			}
			switch whole := slices.Equal(got, s.keys); {
			case lies > 1<<20 && lost != fmt.Sprint(len(s.keys)) && !whole:
				if !errors.Is(err, objectstore.ErrBadListing) {
					t.Errorf("round %d: %d of %d keys, %v, want ErrBadListing", round, len(got), len(s.keys), err)
				}
			case err != nil || !whole:
				t.Errorf("round %d: %d of %d keys, %v", round, len(got), len(s.keys), err)
			}
		})
	}
}

const maxLies = 2 // of one store; a third walk that ends early is the last one

// paths returns n keys of directories, some within each other, and of their siblings.
func paths(r *rand.Rand, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		for range r.IntN(4) {
			keys[i] += string(rune('a'+r.IntN(3))) + []string{"/", "!", "0", "x/"}[r.IntN(4)]
		}
		keys[i] += fmt.Sprint(r.IntN(10_000))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// A key that was added while the bucket was walked does not refute the end of the walk.
func TestAddedKeysDoNotRefuteTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{store: store{keys: numbered(500), size: 100}}
		walked := 0
		b.walk = func(prefix, token string) (page, string, error) {
			if token == "" {
				walked++
			}
			if token == "400" {
				b.keys = append(slices.Clone(b.keys), "data/later")
				return slices.Clone(page(b.keys[400:500])), "", nil
			}
			return b.honest(prefix, token)
		}
		cfg := readahead.Config{ConfirmEnds: true, Limiter: readahead.NewLimiter(readahead.Limits{})}
		n := 0
		for p, err := range readahead.Wrap(b, b, cfg, readahead.NewMetrics(prometheus.NewRegistry())).Walk(t.Context(), "data/", objectstore.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(p)
		}
		if n != 500 || walked != 1 {
			t.Errorf("%d keys in %d walks", n, walked)
		}
	})
}

// Some stores, as MinIO, end a listing early if it starts within a directory, and show all keys
// to a walk. List falls back on a walk.
func TestListFallsBackOnAWalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{keys: numbered(20_000), size: 100, latency: milliseconds(seeded.Rand(t), 30, 70)}
		s.spoil = func(s *store, _, after string, honest int) int {
			if after > "data/00005000" && after < "data/00007000" {
				return 0 // keys that lie before the start
			}
			return honest
		}
		passed := 0
		opts := objectstore.ListOptions{PassedOver: func() { passed++ }}
		got, err := collect(lister(s, readahead.Limits{}, readahead.Config{}).List(t.Context(), "", "data/00000123", opts))
		if err != nil || !slices.Equal(got, s.keys[124:]) {
			t.Errorf("%d of %d keys, %v", len(got), len(s.keys)-124, err)
		}
		if passed == 0 {
			t.Error("until the walk came to where the listing was, it reported no page as passed over")
		}
	})
}
