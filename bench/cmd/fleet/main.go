// Command fleet measures fleets of processes, from one machine: how throughput
// grows with workers, what a skewed key space costs, how long a fleet stands
// still when its leading coordinator is killed, what many imports at once do,
// and what a huge one takes. It prints rows and targets, and writes both as JSON.
// BENCHMARKS.md in the root of the repository says how to read them.
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
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
)

// options are what a run measures.
type options struct {
	only    string // scenarios, with commas; "" is all but those that are asked for
	small   string // objects of the import by 1 and by 8 workers
	large   string // of the one by 8 that shows what they gain
	size    string // objects of those of skew and workerkill
	ragged  int    // mean distance of anchors in those of scale and skew
	alone   string // objects of the import by one process
	huge    string // objects of the huge import
	workers int    // of the huge import
	latency time.Duration
	imports int
	out     string
	keep    bool
}

// scenario measures something. Those that take long run only if they are named.
type scenario struct {
	name   string
	about  string
	onlyIf bool
	run    func(*bench, context.Context) error
}

var scenarios = []scenario{
	{"scale", "an import by 1 and by 8 workers that few LIST calls each keep waiting, and a large one by 8", false, (*bench).scale},
	{"skew", "the same by 8 workers, of a shape with most keys in one prefix", false, (*bench).skew},
	{"failover", "kill -9 of the coordinator that drives an import", false, (*bench).failover},
	{"workerkill", "kill -9 of one of 8 workers", false, (*bench).workerKill},
	{"branches", "many imports at once, each to a branch of its own", false, (*bench).branches},
	{"branch", "many imports at once, all to one branch", false, (*bench).branch},
	{"alone", "an import of -alone objects by one process with default settings, without latency", false, (*bench).alone},
	{"huge", "an import of -huge objects, without latency", true, (*bench).huge},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	var o options
	flags.StringVar(&o.only, "only", "", "`names` of scenarios, with commas: "+about())
	flags.StringVar(&o.small, "small", "6m", "`objects` of the import by 1 and by 8 workers of scale")
	flags.StringVar(&o.large, "large", "40m", "`objects` of its import by 8 workers alone")
	flags.StringVar(&o.size, "size", "4m", "`objects` of the imports of skew and workerkill")
	flags.IntVar(&o.ragged, "raggedness", 2500, "mean `distance` of anchors in those of scale and skew, as if they were so many times larger")
	flags.StringVar(&o.alone, "alone", "10m", "`objects` of the import by one process")
	flags.StringVar(&o.huge, "huge", "100m", "`objects` of the huge import")
	flags.IntVar(&o.workers, "workers", 4, "worker processes of the huge import")
	flags.DurationVar(&o.latency, "latency", 100*time.Millisecond, "of a LIST call, where there is any")
	flags.IntVar(&o.imports, "imports", 200, "imports at once")
	flags.StringVar(&o.out, "out", "results", "`directory` for fleet.txt and fleet.json; empty: none")
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
		defer func() { _ = os.RemoveAll(dir) }() // what is left there does no harm
	}
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, log: out}
	runErr := b.all(ctx)
	report := Report{Date: time.Now().UTC(), Load: measure.Load(), Rows: b.rows, Targets: b.targets}
	text := report.Text()
	fmt.Fprint(out, "\n", text)
	if o.out != "" {
		for name, data := range map[string][]byte{"fleet.txt": []byte(text), "fleet.json": measure.JSON(report)} {
			if err := os.WriteFile(filepath.Join(o.out, name), data, 0o600); err != nil {
				return errors.Join(runErr, err)
			}
		}
	}
	return runErr
}

// all runs the scenarios that were asked for. One that fails keeps no other from
// being run.
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

// check refuses names of no scenario: without any, a run would only replace the
// results of others.
func (o options) check() error {
	for name := range strings.SplitSeq(o.only, ",") {
		if o.only != "" && !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("-only: %q is none of %s", name, about())
		}
	}
	return nil
}

// chosen reports whether the flag -only asks for the scenario.
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
