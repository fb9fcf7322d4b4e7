// Package tracedlog checks the lines that tests log: one that names an import, by import_id, must
// name the import's trace, too.
package tracedlog

import (
	"context"
	"log/slog"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// importID is the key of a line that names an import.
const importID = "import_id"

// Place returns a place in a recorded trace: the request of an import of a test.
func Place() tracing.Place {
	return tracing.Place{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
}

// Test is a test that can fail.
type Test interface {
	Errorf(format string, args ...any)
}

// New returns a log that drops all lines. The test fails for each that names an import and is not
// logged in a recorded trace. So all imports of the test must be recorded, as those whose record and
// partitions have a Place are.
func New(t Test) *slog.Logger { return slog.New(handler{t: t}) }

type handler struct {
	t     Test
	names bool // an import, in all lines
}

func (handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	names := h.names
	r.Attrs(func(a slog.Attr) bool {
		names = names || a.Key == importID
		return !names
	})
	if names && tracing.ID(ctx) == "" {
		h.t.Errorf("a line names an import, and no trace: %q", r.Message)
	}
	return nil
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.names = h.names || slices.ContainsFunc(attrs, func(a slog.Attr) bool { return a.Key == importID })
	return h
}

func (h handler) WithGroup(string) slog.Handler { return h }
