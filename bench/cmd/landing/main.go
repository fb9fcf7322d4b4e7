// Command landing compares the work of a coordinator when an import of many ranges lands on a
// branch of as many with the least work: to read the two metaranges and to write the result.
// Each measurement is a process of its own, and the two alternate. Then it lands imports in a
// coordinator beside a NATS server. It prints a table, and writes it with every number into the
// directory of results.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"

	"github.com/rangefleet/rangefleet/bench/landing"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/process"
)

// memory is the limit that a coordinator sets for itself, in bytes.
const memory = 208 << 20

// What a process measures.
const sideOurs, sideBare = "ours", "bare"

func main() {
	ranges := flag.Int("ranges", 100_000, "`number` of ranges in each tree")
	rounds := flag.Int("rounds", 9, "`number` of measurements of each case")
	process := flag.Bool("process", true, "measure a coordinator's process, too")
	out := flag.String("out", "results", "`directory` for landing.txt and landing.json; empty for none")
	side := flag.String("side", "", "measure only `one` side of the case in -dir, and print its cost")
	dir := flag.String("dir", "", "`directory` of a stored case")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return run(ctx, *ranges, *rounds, *process, *out) }
	if *side != "" {
		run = func() error { return child(ctx, *side, *dir) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "landing:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// child measures one side of a stored case.
func child(ctx context.Context, side, dir string) error {
	debug.SetMemoryLimit(memory)
	s, err := landing.Open(dir)
	if err != nil {
		return err
	}
	cost := s.Land
	if side == sideBare {
		cost = s.Bare
	}
	c, err := cost(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

func run(ctx context.Context, ranges, rounds int, process bool, out string) (err error) {
	dir, err := os.MkdirTemp("", "rangefleet-landing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // in the temporary directory
	report := landing.Report{Ranges: ranges}
	for _, c := range landing.Cases() {
		row, err := row(ctx, c, filepath.Join(dir, c.Name), ranges, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		report.Rows = append(report.Rows, row)
	}
	if process {
		p, err := landing.MeasureProcess(ctx, dir, ranges)
		if err != nil {
			return fmt.Errorf("a coordinator's process: %w", err)
		}
		report.Process = &p
	}
	report.Finish()
	text := report.Text()
	fmt.Print(text)
	if out == "" {
		return nil
	}
	return measure.WriteResults(out, map[string][]byte{"landing.txt": []byte(text), "landing.json": measure.JSON(report)})
}

// row measures a case in rounds.
func row(ctx context.Context, c landing.Case, dir string, ranges, rounds int) (r landing.Row, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return r, err
	}
	s, err := c.Store(ctx, dir, ranges)
	if err != nil {
		return r, err
	}
	r = landing.Row{Case: c.Name, About: c.About, Ranges: s.Ranges}
	for range rounds {
		ours, err := measured(ctx, sideOurs, dir)
		if err != nil {
			return r, err
		}
		bare, err := measured(ctx, sideBare, dir)
		if err != nil {
			return r, err
		}
		r.Ours, r.Bare = append(r.Ours, ours), append(r.Bare, bare)
	}
	return r, nil
}

// measured runs a process that measures one side.
func measured(ctx context.Context, side, dir string) (c landing.Cost, err error) {
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	cmd := exec.CommandContext(ctx, self, "-side", side, "-dir", dir)
	cmd.Stderr = os.Stderr
	process.DieWithParent(cmd)
	text, err := cmd.Output()
	if err != nil {
		return c, fmt.Errorf("measure %s: %w", side, err)
	}
	return c, json.Unmarshal(text, &c)
}
