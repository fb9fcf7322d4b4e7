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
const (
	sideOurs, sideBare = "ours", "bare"

	sideBeside, sideAfter = "beside", "after" // of landing.Changed
)

func main() {
	ranges := flag.Int("ranges", 100_000, "`number` of ranges in each tree")
	rounds := flag.Int("rounds", 9, "`number` of measurements of each case")
	afar := flag.Int("afar", 3, "`number` of measurements on a slow store")
	process := flag.Bool("process", true, "measure a coordinator's process, too")
	out := flag.String("out", "results", "`directory` for landing.txt and landing.json; empty for none")
	side := flag.String("side", "", "measure only `one` side of the case in -dir, and print its cost")
	dir := flag.String("dir", "", "`directory` of a stored case")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := func() error { return run(ctx, *ranges, *rounds, *afar, *process, *out) }
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
	switch side {
	case sideBare:
		cost = s.Bare
	case sideBeside, sideAfter:
		cost = func(ctx context.Context) (landing.Cost, error) { return s.LandAfar(ctx, side == sideBeside) }
	}
	c, err := cost(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

func run(ctx context.Context, ranges, rounds, afar int, process bool, out string) (err error) {
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
	if report.Afar, err = measureAfar(ctx, filepath.Join(dir, "afar"), afar); err != nil {
		return fmt.Errorf("a slow store: %w", err)
	}
	if process {
		p, err := landing.MeasureProcess(ctx, dir, ranges)
		if err != nil {
			return fmt.Errorf("a coordinator's process: %w", err)
		}
		report.Process = &p
	}
	report.Finish()
	return measure.Publish(os.Stdout, out, "landing", report.Text(), report)
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

// measureAfar measures landings on a slow store in rounds.
func measureAfar(ctx context.Context, dir string, rounds int) (all []landing.Afar, err error) {
	if rounds == 0 {
		return nil, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := landing.Changed().Store(ctx, dir, landing.AfarRanges); err != nil {
		return nil, err
	}
	for range rounds {
		var a landing.Afar
		if a.After, err = measured(ctx, sideAfter, dir); err == nil {
			a.Beside, err = measured(ctx, sideBeside, dir)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
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
