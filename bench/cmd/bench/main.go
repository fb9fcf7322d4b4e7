// Command bench measures a worker: each stage alone, the whole, the floor under
// it, and a reader made of lakeFS's packages beside it, all in one run and
// against one synthetic S3. It prints a table and the targets that it meets and
// misses, and writes both as JSON and as a picture. BENCHMARKS.md in the root of
// the repository says how to read them.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

// options are what a run measures.
type options struct {
	objects string // count of most rows
	large   string // count of the row that shows growth; "" is none
	huge    string // count of the row that shows memory; "" is none
	shape   string // of the rows that are not about shapes
	shapes  []string
	latency time.Duration
	lakefs  bool // run lakeFS's packages
	verify  bool // run them on every shape
	faults  bool
	only    string        // part of the names of the rows to measure
	timeout time.Duration // of one row
	out     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "a run of about a minute: 100k objects, few shapes, nothing large")
	flags.StringVar(&o.objects, "objects", "1m", "`count` of objects in most rows")
	flags.StringVar(&o.large, "large", "10m", "`count` of objects in the row that shows growth; empty for none")
	flags.StringVar(&o.huge, "huge", "", "`count` of objects in the row that shows memory, such as 100m; empty for none")
	flags.StringVar(&o.shape, "shape", "hive", "shape of the keys, where the row is not about shapes")
	shapes := flags.String("shapes", "all", "`shapes` to compare, with commas; all, or empty for none")
	flags.DurationVar(&o.latency, "latency", 50*time.Millisecond, "of a LIST call, in the rows that have any")
	flags.BoolVar(&o.lakefs, "lakefs", true, "run lakeFS's packages beside")
	flags.BoolVar(&o.verify, "verify", false, "run them on every shape, to compare metarange IDs")
	flags.BoolVar(&o.faults, "faults", true, "run with faults, too")
	flags.StringVar(&o.only, "only", "", "measure the rows whose `name` holds this")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Minute, "for one row")
	flags.StringVar(&o.out, "out", "results", "`directory` for bench.json, bench.txt and bench.svg")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.objects, o.large = "100k", ""
		if *shapes == "all" {
			*shapes = "md5,hive,zipf,zruns"
		}
	}
	switch *shapes {
	case "":
	case "all":
		o.shapes = keyset.Names()[:18] // the last one is about characters, not about distribution
	default:
		o.shapes = strings.Split(*shapes, ",")
	}
	return o, o.check()
}

// check refuses what would measure nothing, and only replace the results of others.
func (o options) check() error {
	for _, name := range append([]string{o.shape}, o.shapes...) {
		if !slices.Contains(keyset.Names(), name) {
			return fmt.Errorf("%q is no shape; want some of %s", name, strings.Join(keyset.Names(), ","))
		}
	}
	if !slices.ContainsFunc(plan(o), func(p Plan) bool { return strings.Contains(p.Name, o.only) }) {
		return fmt.Errorf("-only: no row is named like %q", o.only)
	}
	return nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	// Nobody here speaks TLS. Reading a bundle takes as much as 20,000 objects.
	if err := os.Unsetenv("AWS_CA_BUNDLE"); err != nil {
		return fmt.Errorf("drop the certificates of the AWS SDK: %w", err)
	}
	dir, err := os.MkdirTemp("", "rangefleet-bench-")
	if err != nil {
		return fmt.Errorf("make a directory for the programs: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := newBench(ctx, o, dir)
	if err != nil {
		return err
	}
	defer b.close()
	report := Report{Date: time.Now().UTC().Truncate(time.Second), Machine: machine()}
	for _, p := range plan(o) {
		if !strings.Contains(p.Name, o.only) {
			continue
		}
		row, err := b.measure(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		fmt.Fprintf(os.Stderr, "%-40s %8.2f s wall  %6.2f CPU-s per million\n", row.Name, row.Wall.Seconds(), row.CPUPerMillion())
		report.Rows = append(report.Rows, row)
	}
	report.Targets = targets(report.Rows)
	text := report.Text()
	fmt.Print(text)
	return save(o.out, report, text)
}

func save(dir string, report Report, text string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of results: %w", err)
	}
	for name, content := range map[string][]byte{
		"bench.json": measure.JSON(report), "bench.txt": []byte(text), "bench.svg": report.Picture(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return fmt.Errorf("write a result: %w", err)
		}
	}
	return nil
}
