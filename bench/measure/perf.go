package measure

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Perf counts instructions and cycles with perf(1), where the machine lets it.
type Perf struct{ available bool }

// Counts are what perf counted; nil where the machine does not count.
type Counts struct {
	Instructions *uint64 `json:"instructions"`
	Cycles       *uint64 `json:"cycles"`
}

// NewPerf finds out whether the machine counts: virtual ones often do not.
func NewPerf(ctx context.Context) Perf {
	out, err := exec.CommandContext(ctx, "perf", "stat", "-x,", "-e", "instructions,cycles", "true").CombinedOutput()
	c := parsePerf(string(out))
	return Perf{available: err == nil && c.Instructions != nil}
}

// Attach starts to count what a process does. stop ends that and returns the
// counts.
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
		_ = cmd.Process.Signal(os.Interrupt) // it prints its counts on that
		_ = cmd.Wait()                       // and ends as if by a signal
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
