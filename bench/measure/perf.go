package measure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Perf counts instructions and cycles with perf(1), if the machine supports it.
type Perf struct{ available bool }

// Counts are the counts of perf. A count is nil if the machine does not support it.
type Counts struct {
	Instructions *uint64 `json:"instructions"`
	Cycles       *uint64 `json:"cycles"`
}

// NewPerf finds out whether the machine supports counting. Virtual machines often do not.
func NewPerf(ctx context.Context) Perf {
	out, err := exec.CommandContext(ctx, "perf", "stat", "-x,", "-e", "instructions,cycles", "true").CombinedOutput()
	c := parsePerf(string(out))
	return Perf{available: err == nil && c.Instructions != nil}
}

// Attach starts counting the instructions and cycles of a process. The function stop stops
// counting and returns the counts.
func (p Perf) Attach(ctx context.Context, pid int) (stop func() Counts, err error) {
	if !p.available {
		return func() Counts { return Counts{} }, nil
	}
	var out strings.Builder
	cmd := exec.CommandContext(ctx, "perf", "stat", "-x,", "-e", "instructions,cycles", "-p", strconv.Itoa(pid))
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start perf: %w", err)
	}
	return func() Counts {
		_ = cmd.Process.Signal(os.Interrupt) // perf then prints its counts
		_ = cmd.Wait()                       // perf exits as if killed by the signal
		return parsePerf(out.String())
	}, nil
}

// parsePerf reads the lines of perf stat -x,: value,unit,event,...
func parsePerf(out string) (c Counts) {
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) < 3 {
			continue
		}
		n, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil { // <not supported>, <not counted>
			continue
		}
		switch event, _, _ := strings.Cut(fields[2], ":"); event {
		case "instructions":
			c.Instructions = &n
		case "cycles":
			c.Cycles = &n
		}
	}
	return c
}
