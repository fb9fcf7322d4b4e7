// Package seeded provides random numbers for tests, from a seed that a failing test prints.
package seeded

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// variable is the environment variable that sets the seed of all tests.
const variable = "TEST_SEED"

// Rand returns a source of random numbers, and logs its seed, which go test prints if the
// test fails. Each call uses another seed, unless TEST_SEED sets it, so that a failure can be
// reproduced. The source must not be used concurrently.
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
