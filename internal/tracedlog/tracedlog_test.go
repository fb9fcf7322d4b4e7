package tracedlog_test

import (
	"log/slog"
	"testing"

	"github.com/rangefleet/rangefleet/internal/tracedlog"
)

// failures counts the failures of a test that may fail.
type failures int

func (f *failures) Errorf(string, ...any) { *f++ }

func TestLines(t *testing.T) {
	f := new(failures)
	log := tracedlog.New(f)
	of := log.With("import_id", "i")
	for what, c := range map[string]struct {
		log   *slog.Logger
		attrs []any
		bad   bool
	}{
		"no import":            {log, []any{"partition", "p"}, false},
		"an import":            {log, []any{"partition", "p", "import_id", "i", "err", "e"}, true},
		"an import's log":      {of, nil, true},
		"a log made of such a": {of.With("partition", "p"), nil, true},
	} {
		*f = 0
		c.log.DebugContext(t.Context(), "line", c.attrs...)
		if got := *f == 1; got != c.bad {
			t.Errorf("%s: %d failures outside of a trace", what, *f)
		}
		*f = 0
		c.log.DebugContext(tracedlog.Place().In(t.Context()), "line", c.attrs...)
		if *f != 0 {
			t.Errorf("%s: %d failures in a trace", what, *f)
		}
	}
}
