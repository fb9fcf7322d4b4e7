package audit

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/transcript"
)

// running is a log that is being written.
type running struct {
	*Log
	log     transcript.Buffer
	metrics *prometheus.Registry
	end     func()
}

func newRunning(t *testing.T, path string, out *disk) *running {
	t.Helper()
	r := &running{metrics: prometheus.NewRegistry()}
	var err error
	r.Log, err = Open(path, out, slog.New(slog.NewTextHandler(&r.log, nil)), r.metrics)
	expect.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { r.Run(ctx) })
	r.end = func() { cancel(); run.Wait() }
	t.Cleanup(r.end)
	return r
}

func (r *running) lines(t *testing.T, result string) float64 {
	t.Helper()
	return measured.Sum(t, r.metrics, "rangefleet_audit_lines_total", result)
}

func named(operation string) Event { return Event{Operation: operation} }

// disk takes as many bytes as it has room for.
type disk struct {
	mu   sync.Mutex
	room int
	text strings.Builder
	hang chan struct{} // if it is not nil, a write waits for it
}

func (d *disk) Write(p []byte) (int, error) {
	if d.hang != nil {
		<-d.hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.room -= n
	d.text.Write(p[:n])
	if n < len(p) {
		return n, errors.New("no space left on device")
	}
	return n, nil
}

// A file is for its owner alone. It is appended to, and made anew after it was renamed.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	first := newRunning(t, path, nil)
	first.Record(named("first"))
	first.end()
	r := newRunning(t, path, nil)
	r.Record(named("second"))
	expect.Eventually(t, "a line written", func() bool { return r.lines(t, "written") == 1 })
	old := path + ".1"
	expect.NoError(t, os.Rename(path, old))
	r.Record(named("third"))
	r.Reopen()
	expect.Eventually(t, "the new file", func() bool { _, err := os.Stat(path); return err == nil })
	r.Record(named("fourth"))
	expect.Eventually(t, "the next line written", func() bool { return r.lines(t, "written") == 3 })
	if slices.Contains(openFiles(t), old) {
		t.Error("the file that was renamed is still open")
	}
	r.end()
	for file, want := range map[string]string{old: "first second third", path: "fourth"} {
		text, err := os.ReadFile(file)
		expect.NoError(t, err)
		var got []string
		for line := range strings.Lines(string(text)) {
			_, rest, _ := strings.Cut(line, `"operation":"`)
			operation, _, _ := strings.Cut(rest, `"`)
			got = append(got, operation)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", file, got, want)
		}
		info, err := os.Stat(file)
		expect.NoError(t, err)
		if info.Mode() != fs.FileMode(0o600) {
			t.Errorf("%s: mode %v", file, info.Mode())
		}
	}
	if _, err := Open(filepath.Join(path, "x"), nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err == nil || !strings.HasPrefix(err.Error(), "audit.log: ") {
		t.Errorf("a file that cannot be: %v", err)
	}
}

// openFiles returns the paths of the files that this process has open, as far as the system tells.
func openFiles(t *testing.T) (paths []string) {
	t.Helper()
	const dir = "/proc/self/fd"
	all, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) { // not Linux
		return nil
	}
	expect.NoError(t, err)
	for _, e := range all {
		if path, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// If the file cannot be opened anew, the old one is used on.
func TestFileThatIsNotOpenedAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	expect.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "audit.log")
	r := newRunning(t, path, nil)
	moved := dir + ".1"
	expect.NoError(t, os.Rename(dir, moved))
	r.Reopen()
	expect.Eventually(t, "the refusal", func() bool { return strings.Contains(r.log.String(), "the old file stays in use") })
	r.Record(named("later"))
	r.end()
	text, err := os.ReadFile(filepath.Join(moved, "audit.log"))
	expect.NoError(t, err)
	if !strings.Contains(string(text), "later") {
		t.Errorf("%q", text)
	}
}

// A full disk loses lines, which are counted. The first line after it begins at the start of a line.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		length := len(named("a").line())
		d := &disk{room: length + length/2}
		r := newRunning(t, "", d)
		for _, operation := range []string{"a", "b", "c"} {
			r.Record(named(operation))
			synctest.Wait()
		}
		if w, l := r.lines(t, "written"), r.lines(t, "lost"); w != 1 || l != 2 {
			t.Errorf("%v lines written and %v lost, want 1 and 2", w, l)
		}
		d.mu.Lock()
		d.room = 1 << 20
		d.mu.Unlock()
		r.Record(named("d"))
		r.Record(named("e"))
		synctest.Wait()
		lines := strings.Split(d.text.String(), "\n")
		if len(lines) != 5 || lines[0]+"\n" != string(named("a").line()) || lines[2]+"\n" != string(named("d").line()) || lines[3]+"\n" != string(named("e").line()) {
			t.Errorf("%q", lines)
		}
		if w, l := r.lines(t, "written"), r.lines(t, "lost"); w != 3 || l != 2 {
			t.Errorf("%v lines written and %v lost, want 3 and 2", w, l)
		}
		text := r.log.String()
		if strings.Count(text, "cannot be written") != 1 || strings.Count(text, "written again") != 1 {
			t.Errorf("log:\n%s", text)
		}
	})
}

// A writer that hangs holds up nobody, and takes no more memory than the lines that may wait.
func TestWriterThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 30, hang: make(chan struct{})}
		r := newRunning(t, "", d)
		r.Record(named("first"))
		synctest.Wait()
		const events = 6000
		long := named(strings.Repeat("x", 1000))
		for range events {
			r.Record(long)
		}
		lost := r.lines(t, "lost")
		if fitting := float64(4<<20) / float64(len(long.line())); lost < events-fitting || lost > events-fitting+1 {
			t.Errorf("%v lines are lost, %v fit", lost, fitting)
		}
		close(d.hang)
		r.end()
		if w := r.lines(t, "written"); w != events+1-lost {
			t.Errorf("%v lines written, want %v", w, events+1-lost)
		}
	})
}

// unclosed is a disk that must not be closed.
type unclosed struct {
	*disk
	t *testing.T
}

func (u unclosed) Close() error {
	u.t.Error("what is no file of the log was closed")
	return nil
}

// What was recorded before the end is written, and what is no file is not opened anew.
func TestTheEndOfALog(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for range 20 { // the end and the line come at once, so either may be noticed first
		var log transcript.Buffer
		d := &disk{room: 1 << 20}
		l, err := Open("", unclosed{d, t}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
		expect.NoError(t, err)
		l.Record(named("last"))
		l.Reopen()
		l.Run(ended)
		if d.text.String() != string(named("last").line()) || log.String() != "" {
			t.Fatalf("written %q, logged %q", d.text.String(), log.String())
		}
	}
}

func TestNoLog(t *testing.T) {
	var none *Log
	none.Record(named("x"))
	none.Reopen()
	none.Run(t.Context())
}
