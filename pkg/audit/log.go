package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// maxWaiting is the size in bytes of the lines that wait to be written. Those that do not fit are
// lost.
const maxWaiting = 4 << 20

// Log writes events to a file or another writer. Record and Reopen may be called concurrently. A
// nil Log writes nothing.
type Log struct {
	path string // "": out is no file of the log
	out  io.Writer
	log  *slog.Logger

	mu      sync.Mutex
	waiting []byte
	reopen  bool

	wake          chan struct{} // has a value if something is to be done
	written, lost prometheus.Counter
}

// Open opens a log that appends to a file, which only its owner may read. If path is empty, it
// writes to out. Each write is of whole lines. It registers its metrics with reg, once.
func Open(path string, out io.Writer, log *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	const written, lost = "written", "lost"
	lines := metric.With(reg).In("audit").CounterVec("lines_total",
		"Lines of the audit log: written, or lost as they could not be written.", metric.By("result", written, lost))
	l := &Log{
		path: path, out: out, log: log, wake: make(chan struct{}, 1),
		written: lines.WithLabelValues(written), lost: lines.WithLabelValues(lost),
	}
	if path == "" {
		return l, nil
	}
	file, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("audit.log: %w", err)
	}
	l.out = file
	return l, nil
}

func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
}

// Record hands an event to Run.
func (l *Log) Record(e Event) {
	if l == nil {
		return
	}
	line := e.line()
	l.mu.Lock()
	fits := len(l.waiting)+len(line) <= maxWaiting
	if fits {
		l.waiting = append(l.waiting, line...)
	}
	l.mu.Unlock()
	if !fits {
		l.lost.Inc()
	}
	l.signal()
}

// Reopen makes Run open the file anew, as after it was renamed. What was recorded before goes to
// the old one.
func (l *Log) Reopen() {
	if l == nil || l.path == "" {
		return
	}
	l.mu.Lock()
	l.reopen = true
	l.mu.Unlock()
	l.signal()
}

func (l *Log) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run writes what is recorded until ctx ends, and then what was recorded before. It closes the
// file.
func (l *Log) Run(ctx context.Context) {
	if l == nil {
		return
	}
	var w writer
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-l.wake:
		}
		l.mu.Lock()
		lines, reopen := l.waiting, l.reopen
		l.waiting, l.reopen = nil, false
		l.mu.Unlock()
		l.write(&w, lines)
		if reopen {
			l.openAnew(&w)
		}
	}
	l.close()
}

// write writes lines. That it fails is logged once, until it succeeds.
func (l *Log) write(w *writer, lines []byte) {
	n, err := w.write(l.out, lines)
	l.written.Add(float64(n))
	l.lost.Add(float64(bytes.Count(lines, []byte{'\n'}) - n))
	switch {
	case err != nil && !w.failing:
		l.log.Error("the audit log cannot be written, its lines are lost", "err", err)
	case err == nil && w.failing && n > 0:
		l.log.Info("the audit log is written again")
	}
	w.failing = err != nil || w.failing && n == 0
}

func (l *Log) openAnew(w *writer) {
	file, err := openFile(l.path)
	if err != nil {
		l.log.Error("open the audit log anew, the old file stays in use", "err", err)
		return
	}
	l.close()
	l.out, w.torn = file, false
	l.log.Info("audit log was opened anew", "file", l.path)
}

func (l *Log) close() {
	if file, ok := l.out.(io.Closer); ok && l.path != "" {
		if err := file.Close(); err != nil {
			l.log.Error("close the audit log", "err", err)
		}
	}
}

// writer appends lines, and ends one that was written in part before it begins another one.
type writer struct {
	torn    bool // the last line has no end
	failing bool
}

// write returns how many lines were written whole.
func (w *writer) write(out io.Writer, lines []byte) (whole int, err error) {
	if len(lines) == 0 {
		return 0, nil
	}
	if w.torn {
		lines = append([]byte{'\n'}, lines...)
	}
	n, err := out.Write(lines)
	whole = bytes.Count(lines[:n], []byte{'\n'})
	if w.torn && n > 0 {
		whole--
	}
	if n > 0 {
		w.torn = lines[n-1] != '\n'
	}
	return whole, err
}
