package s3store

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

// TestPageSize follows the size of pages through good and bad ones.
func TestPageSize(t *testing.T) {
	s := pageSize{most: 100}
	for i, step := range []struct {
		late, good int // pages that are asked for at the size at hand
		want       int
	}{
		{late: 1, want: 100},
		{good: 1, want: 100},
		{late: 1, want: 100}, // hiccups
		{late: 1, want: 50},
		{late: 1, want: 25},
		{good: goodToGrow - 1, want: 25},
		{good: 1, want: 50},
		{late: 1, want: 25}, // too large once more: patience is doubled
		{good: 2*goodToGrow - 1, want: 25},
		{good: 1, want: 50},
		{good: 2 * goodToGrow, want: 100},
		{good: 2 * goodToGrow, want: 100},
		{late: 1, want: 100},
		{late: 1, want: 50}, // as in the beginning
	} {
		for range step.late {
			s.tooLate(s.now())
		}
		for range step.good {
			s.inTime(s.now())
		}
		if got := s.now(); got != step.want {
			t.Fatalf("step %d: %d keys, want %d", i, got, step.want)
		}
	}
}

// Pages in flight together that are late count once.
func TestPagesInFlightShrinkOnce(t *testing.T) {
	s := pageSize{most: 1000}
	asked := s.now()
	shrunk := 0
	for range 32 {
		if s.tooLate(asked) {
			shrunk++
		}
	}
	if s.now() != 500 || shrunk != 1 {
		t.Errorf("%d keys after %d changes", s.now(), shrunk)
	}
}

// Whatever happens, pages have at least one key and at most as many as are set.
func TestPageSizeIsBounded(t *testing.T) {
	rng := seeded.Rand(t)
	for range 200 {
		s := pageSize{most: 1 + rng.IntN(maxPageKeys)}
		for range 500 {
			before := s.now()
			switch rng.IntN(4) {
			case 0:
				if smaller := s.tooLate(before); smaller != (s.now() < before) {
					t.Fatalf("smaller: %v, from %d to %d", smaller, before, s.now())
				}
			case 1:
				s.tooLate(rng.IntN(maxPageKeys))
			default:
				for range rng.IntN(2 * goodToGrow) {
					s.inTime(s.now())
				}
			}
			if n := s.now(); n < 1 || n > s.most {
				t.Fatalf("%d keys of %d", n, s.most)
			}
		}
	}
}
