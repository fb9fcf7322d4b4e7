package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/settings"
)

// The level changes while the process runs, for loggers that were derived before, too. Settings with
// a fault change nothing.
func TestTheLevelIsReadAgain(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(settings.Log{Level: slog.LevelWarn, Format: "text"}, "lake", &out)
	derived := log.With("import_id", "i")
	steps := []struct {
		level slog.Level
		err   error
		shown string // of the lines below: those that are logged
	}{
		{slog.LevelDebug, nil, "dw"}, {0, errors.New("unknown key"), "dw"}, {slog.LevelError, nil, ""}, {slog.LevelInfo, nil, "w"},
	}
	for _, step := range steps {
		out.Reset()
		log.reread(func() (settings.Settings, error) {
			return settings.Settings{Log: settings.Log{Level: step.level}}, step.err
		})
		said := out.String()
		if step.err != nil && !strings.Contains(said, "unknown key") || step.err == nil && !strings.Contains(said, "level="+step.level.String()) {
			t.Errorf("after %v, %v it says %q", step.level, step.err, said)
		}
		out.Reset()
		derived.Debug("d")
		derived.Warn("w")
		shown := ""
		for _, message := range []string{"d", "w"} {
			if strings.Contains(out.String(), "msg="+message+" fleet=lake import_id=i") {
				shown += message
			}
		}
		if shown != step.shown {
			t.Errorf("after %v, %v it logs %q, want %q:\n%s", step.level, step.err, shown, step.shown, out.String())
		}
	}
}

func TestLinesNameTheirTrace(t *testing.T) {
	type key struct{}
	var out bytes.Buffer
	id := func(ctx context.Context) string { s, _ := ctx.Value(key{}).(string); return s }
	log := slog.New(traced{slog.NewTextHandler(&out, nil), id}).With("import_id", "i")
	log.InfoContext(context.WithValue(t.Context(), key{}, "0af7"), "in a trace")
	log.InfoContext(t.Context(), "in none")
	log.WithGroup("g").InfoContext(context.WithValue(t.Context(), key{}, "0af8"), "in another one", "a", 1)
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{"import_id=i trace_id=0af7", "import_id=i", "import_id=i g.a=1 g.trace_id=0af8"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("%q, want it to end in %q", lines[i], want)
		}
	}
}
