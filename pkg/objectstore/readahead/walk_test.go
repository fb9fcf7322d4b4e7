package readahead_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

func walk(ctx context.Context, l *readahead.Lister[page], prefix string) ([]string, error) {
	var keys []string
	for p, err := range l.Walk(ctx, prefix) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, p...)
	}
	return keys, nil
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

// The tokens of some stores repeat keys (S3Proxy), and some answer an empty page
// that has a token.
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
		for p, err := range lister(s, readahead.Limits{}, readahead.Config{}).Walk(t.Context(), "") {
			if err != nil || len(p) != 100 {
				t.Fatal(len(p), err)
			}
			<-time.After(40 * time.Millisecond) // of the fake clock: the consumer's work
		}
		if took, alone := time.Since(begin), 100*50*time.Millisecond; took > alone+100*time.Millisecond {
			t.Errorf("took %v, the LISTs alone %v", took, alone)
		}

		s = &store{keys: numbered(10_000), size: 100} // pages of 10,000 bytes
		for _, err := range lister(s, readahead.Limits{Buffer: 20_000}, readahead.Config{}).Walk(t.Context(), "") {
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
		for _, err := range lister(s, readahead.Limits{}, readahead.Config{}).Walk(ctx, "") {
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

// A store that ends a listing early wherever it begins within a directory, as
// MinIO does, shows all keys to a walk, and List falls back on one.
func TestListWalksWhereStartsAreAnsweredWrongly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{keys: numbered(20_000), size: 100, latency: milliseconds(seeded.Rand(t), 30, 70)}
		s.spoil = func(s *store, _, after string, honest int) int {
			if after > "data/00005000" && after < "data/00007000" {
				return 0 // keys that lie before the start
			}
			return honest
		}
		got, err := list(t.Context(), lister(s, readahead.Limits{}, readahead.Config{}), "", "data/00000123", "")
		if err != nil || !slices.Equal(got, s.keys[124:]) {
			t.Errorf("%d of %d keys, %v", len(got), len(s.keys)-124, err)
		}
	})
}
