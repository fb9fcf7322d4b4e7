// Package expect ends a test that does not get what it needs to go on.
package expect

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/await"
)

// Patience is how long a test waits for something that must happen: so long that
// only a test that fails waits that long, on however busy a machine.
const Patience = time.Minute

// NoError ends the test if there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until ok holds. What names it.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Within(t, Patience, what, func(context.Context) (bool, error) { return ok(), nil })
}

// Within waits until the answer is yes, for as long as it may take, and ends the
// test if asking fails. What names it.
func Within(t testing.TB, patience time.Duration, what string, ask func(context.Context) (bool, error)) {
	t.Helper()
	if err := await.Until(t.Context(), patience, ask); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Received waits for a value of the channel, or for its end. What names it.
func Received[T any](t testing.TB, what string, values <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-values:
	case <-time.After(Patience):
		t.Fatalf("%s: not within %v", what, Patience)
	}
	return v
}
