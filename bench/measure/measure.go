// Package measure reads the CPU time and the memory that this process and others have used.
package measure

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Usage is the cost of some work.
type Usage struct {
	Wall   time.Duration `json:"wall_ns"`
	CPU    time.Duration `json:"cpu_ns"`     // user and system, of all threads
	Allocs uint64        `json:"allocs"`     // objects on the Go heap
	Peak   int64         `json:"peak_bytes"` // most resident memory of the process since it started
}

// Self measures work done by this process. Other work that the process does at the same time
// is counted, too.
func Self(work func() error) (Usage, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, err := CPU(os.Getpid())
	if err != nil {
		return Usage{}, err
	}
	begun := time.Now()
	if err := work(); err != nil {
		return Usage{}, err
	}
	u := Usage{Wall: time.Since(begun)}
	end, err := CPU(os.Getpid())
	if err != nil {
		return Usage{}, err
	}
	runtime.ReadMemStats(&after)
	u.CPU, u.Allocs = end-cpu, after.Mallocs-before.Mallocs
	u.Peak, err = Peak(os.Getpid())
	return u, err
}

// Child implements the protocol between a benchmark and a process that it measures: the
// process prepares, prints "ready", waits for a line, calls work, and prints the answer as
// one line of JSON.
func Child(in io.Reader, out io.Writer, work func() (answer any, err error)) error {
	fmt.Fprintln(out, "ready")
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	answer, err := work()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}

// CPU returns the CPU time that a process has used, user and system. It adds up the times of
// the threads in /proc/<pid>/task, which count nanoseconds, while /proc/<pid>/stat counts
// ticks of ten milliseconds. Threads that have ended are not counted; a Go program has few.
func CPU(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d has no visible threads in /proc", pid)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// Peak returns the most resident memory that a process has had, in bytes.
func Peak(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("the status of process %d has no VmHWM", pid)
}
