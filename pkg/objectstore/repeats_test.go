package objectstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

func TestRepeatsAreNotedInTheContext(t *testing.T) {
	objectstore.NoteRepeat(t.Context(), errors.New("nobody is told"))
	var told []error
	ctx := objectstore.WithRepeats(t.Context(), func(cause error) { told = append(told, cause) })
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if objectstore.NoteRepeat(ctx, objectstore.ErrThrottled); len(told) != 1 || !errors.Is(told[0], objectstore.ErrThrottled) {
		t.Errorf("told %v, want %v", told, objectstore.ErrThrottled)
	}
}
