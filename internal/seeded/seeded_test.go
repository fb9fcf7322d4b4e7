package seeded_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
)

func TestRand(t *testing.T) {
	if a, b := seeded.Rand(t).Uint64(), seeded.Rand(t).Uint64(); a == b {
		t.Errorf("two sources begin with %d", a)
	}
	t.Setenv("TEST_SEED", "7")
	if a, b := seeded.Rand(t).Uint64(), seeded.Rand(t).Uint64(); a != b {
		t.Errorf("two sources of one seed begin with %d and %d", a, b)
	}
}
