// Package expect ends a test if a condition that it depends on does not hold.
package expect

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
)

// Patience is how long a test waits for something that must happen. Even on a busy machine,
// only failing tests wait that long.
const Patience = time.Minute

// NoError ends the test if there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until ok returns true. The failure is described by what.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Within(t, Patience, what, func(context.Context) (bool, error) { return ok(), nil })
}

// Within waits until ask returns true, for as long as patience. It ends the test if ask
// returns an error. The failure is described by what.
func Within(t testing.TB, patience time.Duration, what string, ask func(context.Context) (bool, error)) {
	t.Helper()
	if err := await.Until(t.Context(), patience, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Received waits for a value of the channel, or until it is closed. The failure is described
// by what.
func Received[T any](t testing.TB, what string, values <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-values:
	case <-time.After(Patience):
		t.Fatalf("%s: not within %v", what, Patience)
	}
	return v
}
