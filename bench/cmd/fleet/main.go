// Command fleet measures fleets of processes on one machine: how throughput grows with the
// number of workers, what a skewed key space costs, how long imports stand still after the
// coordinator that drives them is killed, how many imports share a fleet, and what a huge
// import takes. It prints rows and targets, and writes both as text and JSON. BENCHMARKS.md
// in the root of the repository explains them.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
)

// options select what a run measures.
type options struct {
	only    string // comma-separated scenarios; "" for all but those that must be named
	small   string // objects in scale's imports by 1 and by 8 workers
	large   string // objects in scale's large import by 8 workers
	size    string // objects in the imports of skew and workerkill
	ragged  int    // mean distance of anchors in scale and skew
	alone   string // objects in the import by one process
	huge    string // objects in the huge import
	workers int    // workers for the huge import
	latency time.Duration
	imports int
	out     string
	keep    bool
}

// scenario is a group of measurements. A long one runs only if -only names it.
type scenario struct {
	name   string
	about  string
	onlyIf bool
	run    func(*bench, context.Context) error
}

var scenarios = []scenario{
	{"scale", "imports by 1 and by 8 workers that wait for few LIST calls each, and a large one by 8", false, (*bench).scale},
	{"skew", "imports by 8 workers of a uniform shape, and of one with most keys in one prefix", false, (*bench).skew},
	{"failover", "kill -9 of the coordinator that drives an import", false, (*bench).failover},
	{"workerkill", "kill -9 of one of 8 workers", false, (*bench).workerKill},
	{"branches", "many imports at once, each to a branch of its own", false, (*bench).branches},
	{"branch", "many imports at once, all to one branch", false, (*bench).branch},
	{"alone", "an import of -alone objects without latency, by one process with default settings", false, (*bench).alone},
	{"huge", "an import of -huge objects, without latency", true, (*bench).huge},
}

func main() { measure.Main("fleet", run) }

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.only, "only", "", "comma-separated `names` of scenarios: "+about())
	flags.StringVar(&o.small, "small", "6m", "`objects` in scale's imports by 1 and by 8 workers")
	flags.StringVar(&o.large, "large", "40m", "`objects` in scale's large import by 8 workers")
	flags.StringVar(&o.size, "size", "4m", "`objects` in the imports of skew and workerkill")
	flags.IntVar(&o.ragged, "raggedness", 2500, "mean `distance` of anchors in scale and skew; a smaller one stands for a larger import")
	flags.StringVar(&o.alone, "alone", "10m", "`objects` in the import by one process")
	flags.StringVar(&o.huge, "huge", "100m", "`objects` in the huge import")
	flags.IntVar(&o.workers, "workers", 4, "`number` of worker processes for the huge import")
	flags.DurationVar(&o.latency, "latency", 100*time.Millisecond, "latency of a LIST call in scale, skew and workerkill")
	flags.IntVar(&o.imports, "imports", 200, "`number` of imports to submit at once in branches and branch")
	flags.StringVar(&o.out, "out", "results", "`directory` for fleet.txt and fleet.json; empty to write neither")
	flags.BoolVar(&o.keep, "logs", false, "keep the logs of the processes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rangefleet-fleet-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(out, "logs in", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }() // leftovers do no harm
	}
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, log: out}
	runErr := b.all(ctx)
	report := Report{Date: time.Now().UTC(), Load: measure.Load(), Rows: b.rows, Targets: b.targets}
	return errors.Join(runErr, measure.Publish(out, o.out, "fleet", report.Text(), report))
}

// all runs the chosen scenarios. If one fails, the others run all the same.
func (b *bench) all(ctx context.Context) error {
	var errs []error
	for _, s := range scenarios {
		if ctx.Err() != nil || !s.chosen(b.only) {
			continue
		}
		fmt.Fprintf(b.log, "%s: %s\n", s.name, s.about)
		if err := s.run(b, ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			fmt.Fprintln(b.log, "   ", err)
		}
	}
	return errors.Join(errs...)
}

// check refuses unknown names: a run without scenarios would replace earlier results by none.
func (o options) check() error {
	for name := range strings.SplitSeq(o.only, ",") {
		if o.only != "" && !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("-only: unknown scenario %q, want some of %s", name, about())
		}
	}
	return nil
}

// chosen reports whether the flag -only chooses the scenario.
func (s scenario) chosen(only string) bool {
	if only == "" {
		return !s.onlyIf
	}
	return slices.Contains(strings.Split(only, ","), s.name)
}

func about() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}
