package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/ctl"
	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// live is a coordinator with its workers in this process, and rangectl.
type live struct {
	t    *testing.T
	info node.Info
	stop func() // ends the coordinator, and returns when it has ended
}

func startLive(t *testing.T, allowed ...string) *live {
	t.Helper()
	flags := pflag.NewFlagSet("live", pflag.ContinueOnError)
	settings.AddFlags(flags, settings.Coordinator)
	expect.NoError(t, flags.Parse([]string{"--listen", "127.0.0.1:0", "--nats.store_dir", t.TempDir()}))
	s, err := settings.Load(settings.Coordinator, flags, nil)
	expect.NoError(t, err)
	s.Local.Allowed = allowed
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan node.Info, 1), make(chan error, 1)
	go func() {
		ended <- node.Coordinator(ctx, node.Env{
			Settings: s, Log: slog.New(slog.DiscardHandler), Notices: io.Discard, Started: func(info node.Info) { started <- info },
		})
	}()
	l := &live{t: t}
	select {
	case l.info = <-started:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	stopped := false
	l.stop = func() {
		if cancel(); !stopped {
			stopped = true
			expect.NoError(t, <-ended)
		}
	}
	t.Cleanup(l.stop)
	return l
}

// run runs a command, with its words separated by spaces.
func (l *live) run(line string) (code ctl.ExitCode, out, errs string) {
	l.t.Helper()
	var stdout, stderr bytes.Buffer
	env := map[string]string{
		"RANGECTL_ENDPOINT": l.info.API, "RANGECTL_ACCESS_KEY_ID": l.info.AccessKeyID, "RANGECTL_SECRET_ACCESS_KEY": l.info.SecretAccessKey,
		"RANGECTL_CONFIG": filepath.Join(l.t.TempDir(), "none.yaml"),
	}
	sys := ctl.OS()
	sys.In, sys.Out, sys.Err = strings.NewReader(""), &stdout, &stderr
	sys.Getenv = func(name string) string { return env[name] }
	sys.Width = func() int { return 0 }
	code = ctl.Run(l.t.Context(), sys, strings.Split(line, " "))
	return code, stdout.String(), stderr.String()
}

// message is a line of JSON that a command wrote.
type message struct {
	Type     string   `json:"message_type"`
	ID       string   `json:"id"`
	Phase    string   `json:"phase"`
	Code     int      `json:"code"`
	Hint     string   `json:"hint"`
	Ingested int64    `json:"ingested_objects"`
	Listed   *int64   `json:"listed_objects"`
	Elapsed  float64  `json:"elapsed_seconds"`
	Rate     *float64 `json:"objects_per_second"`
}

func messages(t *testing.T, lines string) (all []message) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var m message
		if err := json.Unmarshal([]byte(line), &m); err != nil || m.Type == "" {
			t.Errorf("%q is no message: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

// imports runs an import of a tree of so many objects, and returns its ID. The command must tell
// the ID before it waits, and a summary in the end.
func (l *live) imports(source string, objects int64) (id string) {
	l.t.Helper()
	code, out, errs := l.run("import --from local://" + source + "/ --to lakefs://lake/main/raw/ -o json")
	results, told := messages(l.t, out), messages(l.t, errs)
	if code != ctl.OK || len(results) != 1 || results[0].Type != "summary" || results[0].Ingested != objects {
		l.t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	id = results[0].ID
	if len(told) == 0 || told[0].Type != "notice" || told[0].ID != id {
		l.t.Errorf("told %s", errs)
	}
	if r := results[0]; r.Elapsed <= 0 || r.Rate == nil {
		l.t.Errorf("the summary lacks its time or rate: %s", out)
	}
	return id
}

// hinted is a command with a mistake, and what a hint must say of it.
type hinted struct{ line, want string }

func (l *live) hints(mistakes []hinted) {
	l.t.Helper()
	for _, m := range mistakes {
		if code, out, errs := l.run(m.line + " -o json"); code != ctl.Failed || !strings.Contains(errs, m.want) {
			l.t.Errorf("%s: exit %d, want a hint with %q: %s%s", m.line, code, m.want, out, errs)
		}
	}
}

// completed is the beginning of a command, and what the shell must offer for its last word.
type completed struct{ typed, want string }

func (l *live) completes(lines []completed) {
	l.t.Helper()
	for _, c := range lines {
		if _, out, errs := l.run("__complete " + c.typed); !strings.HasPrefix(out, c.want) && !strings.Contains(out, "\n"+c.want) {
			l.t.Errorf("%s completes to %q, want %q: %s", c.typed, out, c.want, errs)
		}
	}
}

// TestCommandsOnAFleet runs what a new user does, with the usual mistakes, on a fleet that is not
// a fake.
func TestCommandsOnAFleet(t *testing.T) {
	const objects = 3000
	data, source := t.TempDir(), tree(t, objects)
	l := startLive(t, data, source)
	if code, _, errs := l.run("repo create lakefs://lake local://" + data + "/lake"); code != ctl.OK {
		t.Fatalf("exit %d: %s", code, errs)
	}

	id := l.imports(source, objects)
	l.hints([]hinted{
		{"import --from local://" + source + "/ --to lakefs://laek/main/", "did you mean lakefs://lake/main?"},
		{"ls lakefs://lake/mian", "did you mean lakefs://lake/main?"},
		{"status lakefs://lake/main " + id + "x", "rangectl imports lakefs://lake lists those that are known"},
		{"status lakefs://lake/other " + id, "it is an import into lakefs://lake/main"},
		{"import --from local://" + source + "/absent/ --to lakefs://lake/main/", "it is looked for on the machines of the fleet"},
	})
	l.completes([]completed{
		{"ls la", "lakefs://lake/"},
		{"ls lakefs://lake/m", "lakefs://lake/main"},
		{"status lakefs://lake/main ", id},
		{"auth user delete ad", "admin"},
	})

	// The time is that of the import, and the same whenever it is asked for.
	_, first, _ := l.run("status lakefs://lake/main " + id + " -o json")
	_, again, _ := l.run("status --watch lakefs://lake/main " + id + " -o json")
	if first != again || !strings.Contains(first, `"message_type":"summary"`) || messages(t, first)[0].Elapsed <= 0 {
		t.Errorf("two looks at an ended import differ, or lack its time:\n%s%s", first, again)
	}

	l.stop()
	code, out, errs := l.run("repo list")
	want := fmt.Sprintf("rangectl: no coordinator answers at %s: connection refused\n", l.info.API)
	if code != ctl.Failed || out != "" || errs != want {
		t.Errorf("without a coordinator: exit %d, %q, want %q", code, out+errs, want)
	}
}
