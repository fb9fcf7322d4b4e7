// Package seeded gives tests randomness that can be had again.
package seeded

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// variable is the environment variable that gives all tests of a run a seed.
const variable = "TEST_SEED"

// Rand returns a source of randomness for one goroutine, and logs its seed, which a
// test that fails shows. Each call takes another seed; where TEST_SEED is
// set, all take that one, so that the test can fail again.
func Rand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text, ok := os.LookupEnv(variable); ok {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("read %s: %v", variable, err)
		}
	}
	t.Logf("%s=%d", variable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}
