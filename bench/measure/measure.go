// Package measure reads the CPU time and memory that processes have used: its own, and
// others'.
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

// Usage is what some work took.
type Usage struct {
	Wall   time.Duration `json:"wall_ns"`
	CPU    time.Duration `json:"cpu_ns"`     // user and system, of all threads
	Allocs uint64        `json:"allocs"`     // objects on the Go heap
	Peak   int64         `json:"peak_bytes"` // resident, of the process since it started
}

// Self measures work of this process. Whatever else the process does at the same
// time counts too.
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

// Child is the protocol between a benchmark and a process that does the work to
// be measured: the process prepares, says "ready", waits for a line, works, and
// writes one line of JSON.
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

// CPU returns the processor time that a process has used, user and system. It
// adds up the threads that the scheduler knows, exact to the nanosecond where
// /proc/<pid>/stat counts ticks of ten milliseconds; threads that ended are left
// out, of which a Go program has next to none.
func CPU(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("process %d has no threads to be seen in /proc", pid)
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

// Peak returns the most memory that a process has had resident, in bytes.
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
	return 0, fmt.Errorf("process %d does not tell its VmHWM", pid)
}
