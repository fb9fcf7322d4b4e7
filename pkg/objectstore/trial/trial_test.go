package trial_test

import (
	"cmp"
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
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

func config(seed uint64) trial.Config {
	return trial.Config{
		Limits: trial.Limits{Lists: 300, Keys: 50_000, Bytes: 8 << 20, Within: time.Minute},
		Starts: 200, Seed: seed,
	}
}

func run(t *testing.T, m *model, prefix string, cfg trial.Config) trial.Report {
	t.Helper()
	report, err := trial.Run(t.Context(), m, prefix, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if report.Lists != m.calls || report.Lists > cfg.Limits.Lists {
		t.Errorf("%d LISTs reported and %d made, of %d at most", report.Lists, m.calls, cfg.Limits.Lists)
	}
	return report
}

// TestNoFaultOfHonestStores checks that what stores may do is not taken for a fault.
func TestNoFaultOfHonestStores(t *testing.T) {
	r := seeded.Rand(t)
	for name, change := range map[string]func(*model){
		"plain": func(*model) {},
		"short pages": func(m *model) {
			m.answer = func(size int, after string, following []string) ([]string, bool) {
				return truly(1+r.IntN(size), after, following)
			}
		},
		"more than there is": func(m *model) {
			m.answer = func(size int, after string, following []string) ([]string, bool) {
				page, _ := truly(size, after, following)
				return page, len(page) > 0
			}
		},
		"tokens that repeat keys": func(m *model) {
			last := ""
			m.walked = func(page []string) []string {
				if len(page) == 0 {
					return page
				}
				again := last
				if last = page[len(page)-1]; again == "" || again > page[0] {
					return page
				}
				return append([]string{again}, page...)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				m := newModel(1+r.IntN(300), tree(10+r.IntN(300))...)
				change(m)
				report := run(t, m, []string{"", "events", "logs/1"}[r.IntN(3)], config(r.Uint64()))
				if report.Fault != nil || report.WalkFault != "" || report.Changed > 0 || report.Tried < 20 {
					t.Errorf("report %+v, want many starts without a fault", report)
				}
			}
		})
	}
}

// TestFaults checks that each kind of fault is found, whatever the seed, and that the report
// names what the store did.
func TestFaults(t *testing.T) {
	r := seeded.Rand(t)
	for name, answer := range map[string]func(size int, after string, following []string) ([]string, bool){
		// MinIO counts siblings that lie before the start as keys of the page.
		"siblings cost the page": func(size int, after string, following []string) ([]string, bool) {
			if !strings.HasPrefix(after, "events/") {
				return truly(size, after, following)
			}
			page, _ := truly(max(0, size-100), after, following)
			return page, false
		},
		"an early end now and then": func(size int, after string, following []string) ([]string, bool) {
			page, more := truly(size, after, following)
			return page, more && len(after)%7 != 0
		},
		"the key after a made-up start is skipped": func(size int, after string, following []string) ([]string, bool) {
			if len(following) > 0 && !slices.Contains(tree(150), after) {
				following = following[1:]
			}
			return truly(size, after, following)
		},
		"the start is ignored": func(size int, after string, _ []string) ([]string, bool) {
			return truly(size, after, newModel(1, tree(150)...).following("", ""))
		},
		"the start is listed": func(size int, after string, following []string) ([]string, bool) {
			return truly(size, after, append([]string{after}, following...))
		},
		"more without keys": func(int, string, []string) ([]string, bool) { return nil, true },
		"out of order": func(size int, after string, following []string) ([]string, bool) {
			page, more := truly(size, after, following)
			page = slices.Clone(page)
			slices.Reverse(page)
			return page, more
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				m := newModel(100, tree(150)...)
				m.answer = answer
				report := run(t, m, "", config(r.Uint64()))
				f := report.Fault
				if f == nil {
					t.Fatalf("no fault in %d starts", report.Tried)
				}
				size := cmp.Or(f.Start.Keys, m.size)
				page, more := answer(size, f.Start.After, m.following("", f.Start.After))
				if c, _ := report.Walk.Judge(f.Start.After, trial.Answer{Keys: page, More: more}); f.Words == "" && c != f.Contradiction {
					t.Errorf("fault %+v, but the store's answer contradicts the walk by %+v", f, c)
				}
			}
		})
	}
}

// TestChangesAreNoFault changes the keys once the walk is done.
func TestChangesAreNoFault(t *testing.T) {
	for name, change := range map[string]func(keys []string) []string{
		"deleted": func(keys []string) []string { return slices.Delete(slices.Clone(keys), 10, 300) },
		"written": func(keys []string) []string {
			for i := range 200 {
				keys = append(keys, fmt.Sprintf("events/%04dnew", i), fmt.Sprintf("zzz/%d", i))
			}
			return slices.Sorted(slices.Values(keys))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel(100, tree(150)...)
			m.hook = func(_ context.Context, calls int) error {
				if calls == 4 { // as many pages as the walk has
					m.keys = change(m.keys)
				}
				return nil
			}
			report := run(t, m, "", config(seeded.Rand(t).Uint64()))
			if report.Fault != nil || report.Changed == 0 || report.Walk.Pages != 4 {
				t.Errorf("report %+v, want changes and no fault", report)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits             trial.Limits
		pages, tried       int // -1: some
		complete, cutShort bool
	}{
		"keys":  {trial.Limits{Lists: 300, Keys: 250, Bytes: 1 << 20, Within: time.Minute}, 3, 200, false, false},
		"bytes": {trial.Limits{Lists: 300, Keys: 5000, Bytes: 1300, Within: time.Minute}, 1, -1, false, false},
		"lists": {trial.Limits{Lists: 9, Keys: 5000, Bytes: 1 << 20, Within: time.Minute}, 3, 6, false, true},
		"none":  {trial.Limits{Lists: 300, Keys: 5000, Bytes: 1 << 20, Within: time.Minute}, 10, 200, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(1)
			cfg.Limits = c.limits
			report := run(t, newModel(100, tree(450)...), "", cfg)
			if report.Walk.Pages != c.pages || report.Walk.Complete != c.complete || (report.CutShort != "") != c.cutShort ||
				report.Tried != c.tried && c.tried >= 0 || report.Tried == 0 {
				t.Errorf("report of %d pages, complete %t, %d starts, cut short %q; want %+v",
					report.Walk.Pages, report.Walk.Complete, report.Tried, report.CutShort, c)
			}
		})
	}
}

// TestTime checks that a trial of a slow store ends in time, and that half of it is for the walk.
func TestTime(t *testing.T) {
	for name, c := range map[string]struct {
		call         time.Duration // that one LIST takes
		pages, tried int
		fails        bool
	}{
		"slow":      {2 * time.Second, 5, 5, false},
		"very slow": {6 * time.Second, 1, 1, false},
		"hangs":     {time.Hour, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(100, tree(450)...)
				m.hook = func(ctx context.Context, _ int) error {
					select {
					case <-time.After(c.call):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				cfg := config(1)
				cfg.Limits.Within = 21*time.Second - 10*time.Millisecond
				begun := time.Now()
				report, err := trial.Run(t.Context(), m, "", cfg)
				if took := time.Since(begun); took > 21*time.Second || report.Walk.Pages != c.pages || (err != nil) != c.fails {
					t.Errorf("%d pages, %v after %v, want %d pages in time", report.Walk.Pages, err, took, c.pages)
				}
				if !c.fails && (report.Tried != c.tried || report.CutShort == "") {
					t.Errorf("%d starts, cut short %q, want %d and why", report.Tried, report.CutShort, c.tried)
				}
			})
		})
	}
}

func TestErrors(t *testing.T) {
	passing := errors.New("connection reset")
	for name, c := range map[string]struct {
		failures int // calls from the first on that fail, and from the tenth on
		err      error
		fails    bool
	}{
		"passes":        {2, passing, false},
		"does not pass": {3, passing, true},
		"refused":       {1, objectstore.ErrRefused, true},
		"not found":     {1, objectstore.ErrNotFound, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(100, tree(450)...)
				m.hook = func(_ context.Context, calls int) error {
					if calls < c.failures || calls >= 20 && calls < 20+c.failures {
						return c.err
					}
					return nil
				}
				_, err := trial.Run(t.Context(), m, "", config(1))
				if (err != nil) != c.fails || c.fails && !errors.Is(err, c.err) {
					t.Errorf("Run = %v, want it to fail: %t", err, c.fails)
				}
			})
		})
	}
}

func TestWalksThatAreWrong(t *testing.T) {
	m := newModel(100, tree(150)...)
	pages := 0
	m.walked = func(page []string) []string {
		if pages++; pages == 1 {
			return page
		}
		return append([]string{"a"}, page...)
	}
	if report := run(t, m, "", config(1)); !strings.Contains(report.WalkFault, "out of order") || report.Tried > 0 {
		t.Errorf("report %+v, want a fault of the walk and no starts", report)
	}
	m = newModel(100, tree(150)...)
	m.hook = func(context.Context, int) error { return fmt.Errorf("key %q: %w", "\xff", objectstore.ErrBadListing) }
	if report := run(t, m, "", config(1)); !strings.Contains(report.WalkFault, `"\xff"`) {
		t.Errorf("report %+v, want the words of the listing", report)
	}
}

// TestSeed checks that a trial can be repeated with its seed.
func TestSeed(t *testing.T) {
	starts := func(seed uint64) []trial.Start {
		m := newModel(100, tree(100)...)
		var starts []trial.Start
		m.answer = func(size int, after string, following []string) ([]string, bool) {
			starts = append(starts, trial.Start{After: after, Keys: size})
			return truly(size, after, following)
		}
		run(t, m, "", config(seed))
		return starts
	}
	if a, b, c := starts(1), starts(1), starts(2); !slices.Equal(a, b) || slices.Equal(a, c) || len(a) != 200 {
		t.Errorf("seeds 1, 1 and 2 try %d, %d and %d starts, want 200, the same for the same seed", len(a), len(b), len(c))
	}
}
