package node

import (
	"context"
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/rangefleet/rangefleet/pkg/settings"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

// Logger is the log of a process, whose level can be changed while it runs.
type Logger struct {
	*slog.Logger
	level *slog.LevelVar
}

// NewLogger returns the logger that the settings ask for. Its lines name the fleet, unless that has
// no name.
func NewLogger(s settings.Log, fleet string, w io.Writer) Logger {
	level := new(slog.LevelVar)
	level.Set(s.Level)
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	var h slog.Handler = slog.NewJSONHandler(w, opts)
	if s.Format == "text" || s.Format == "auto" && isTerminal(w) {
		h = slog.NewTextHandler(w, opts)
	}
	log := slog.New(traced{h, tracing.ID})
	if fleet != "" {
		log = log.With("fleet", fleet)
	}
	return Logger{log, level}
}

// reread takes the level of settings that were read again. If they cannot be read, the level stays.
func (l Logger) reread(load func() (settings.Settings, error)) {
	s, err := load()
	if err != nil {
		l.Error("the settings are refused, the level of the log stays", "err", err)
		return
	}
	was := l.level.Level()
	l.level.Set(min(was, s.Log.Level)) // so that the change shows
	l.Info("the level of the log is in force, other settings need a restart", "level", s.Log.Level, "before", was)
	l.level.Set(s.Log.Level)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readable formats durations for people: JSON would have nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// traced adds to each line the trace in whose context it is logged, if there is one.
type traced struct {
	slog.Handler
	id func(context.Context) string
}

func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if id := t.id(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", id))
	}
	return t.Handler.Handle(ctx, r)
}

func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traced{t.Handler.WithAttrs(attrs), t.id}
}

func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name), t.id} }
