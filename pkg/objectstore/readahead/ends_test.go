package readahead_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

// hashed returns n keys at places that say little about each other.
func hashed(r *rand.Rand, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s/%08x", []string{"events", "events-archive", "users"}[r.IntN(3)], r.Uint32())
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestEarlyEndsLoseNoKey lists stores that claim, for some pages, that nothing follows. The page
// is complete, or empty though the page before said that more follows.
func TestEarlyEndsLoseNoKey(t *testing.T) {
	r := seeded.Rand(t)
	lied := 0
	for round := range 150 {
		synctest.Test(t, func(t *testing.T) {
			s := &store{keys: hashed(r, 200+r.IntN(6000)), size: 1 + r.IntN(60), latency: milliseconds(r, 1, 100)}
			lo, hi := r.IntN(len(s.keys)), r.IntN(len(s.keys))
			from, to := s.keys[min(lo, hi)], s.keys[max(lo, hi)]
			empties := round%2 == 0
			s.ends = func(after string) (int, bool) {
				s.mu.Lock()
				defer s.mu.Unlock()
				lies := after > from && after <= to // not about the first page
				if lies {
					lied++
				}
				if empties { // for any such start, as in MinIO
					return 0, lies
				}
				return s.size, lies // the keys are right, and the end is not
			}
			cfg := readahead.Config{ConfirmEnds: true}
			got, err := list(t.Context(), lister(s, readahead.Limits{Most: 1 + r.IntN(20)}, cfg), "", "", "")
			if err != nil || !slices.Equal(got, s.keys) {
				t.Errorf("round %d, lies after (%q, %q]: %d of %d keys, %v", round, from, to, len(got), len(s.keys), err)
			}
		})
	}
	if lied == 0 {
		t.Error("no store lied")
	}
}

// TestEndsCostOneList counts the LISTs that confirm an end.
func TestEndsCostOneList(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 1001, 20_000} {
		synctest.Test(t, func(t *testing.T) {
			calls := [2]int{}
			for i, confirm := range []bool{false, true} {
				s := &store{keys: numbered(n), size: 1000}
				got, err := list(context.Background(), lister(s, readahead.Limits{Most: 1}, readahead.Config{ConfirmEnds: confirm}), "", "", "")
				if err != nil || len(got) != n {
					t.Fatalf("%d of %d keys, %v", len(got), n, err)
				}
				calls[i] = s.calls
			}
			want := calls[0] + 1
			if n == 0 { // the first page is empty, and so confirms itself
				want = calls[0]
			}
			if calls[1] > want {
				t.Errorf("%d keys: %d LISTs, %d where ends are believed", n, calls[1], calls[0])
			}
		})
	}
}
