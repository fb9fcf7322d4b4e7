// Command bench measures, in one run and against one synthetic S3, each stage of a worker
// alone, the whole worker, the floor (the least work that any program has to do), and an
// import by lakeFS's packages. It prints a table of measurements and a table of targets that
// were met or missed, and writes both as text and JSON, and a picture. BENCHMARKS.md in the
// root of the repository explains them.
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

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

// options select what a run measures.
type options struct {
	objects string // number of objects in most rows
	large   string // number in the row that shows growth; "" for no such row
	huge    string // number in the row that shows memory; "" for no such row
	shape   string // shape of keys in the rows that do not compare shapes
	shapes  []string
	latency time.Duration
	lakefs  bool // run lakeFS's packages
	verify  bool // run lakeFS's packages on every shape
	faults  bool
	only    string        // substring of the names of the rows to measure
	timeout time.Duration // for one row
	out     string
}

func main() { measure.Main("bench", run) }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "a run of about a minute: 100k objects, few shapes, nothing large")
	flags.StringVar(&o.objects, "objects", "1m", "`count` of objects in most rows")
	flags.StringVar(&o.large, "large", "10m", "`count` of objects in the row that shows growth; empty for no such row")
	flags.StringVar(&o.huge, "huge", "", "`count` of objects in the row that shows memory, such as 100m; empty for no such row")
	flags.StringVar(&o.shape, "shape", "hive", "shape of the keys in the rows that do not compare shapes")
	shapes := flags.String("shapes", "all", "comma-separated `shapes` to compare; all, or empty for none")
	flags.DurationVar(&o.latency, "latency", 50*time.Millisecond, "latency of a LIST call, in the rows with latency")
	flags.BoolVar(&o.lakefs, "lakefs", true, "measure lakeFS's packages, too")
	flags.BoolVar(&o.verify, "verify", false, "run lakeFS's packages on every shape, to compare metarange IDs")
	flags.BoolVar(&o.faults, "faults", true, "measure a worker on a store with faults, too")
	flags.StringVar(&o.only, "only", "", "measure only the rows whose names contain this `text`")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Minute, "time limit for one row")
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
		o.shapes = keyset.Names()[:18] // the last one tests characters, not distribution
	default:
		o.shapes = strings.Split(*shapes, ",")
	}
	return o, o.check()
}

// check refuses options that select no row: such a run would replace earlier results by none.
func (o options) check() error {
	for _, name := range append([]string{o.shape}, o.shapes...) {
		if !slices.Contains(keyset.Names(), name) {
			return fmt.Errorf("unknown shape %q, want some of %s", name, strings.Join(keyset.Names(), ","))
		}
	}
	if !slices.ContainsFunc(plan(o), func(p Plan) bool { return strings.Contains(p.Name, o.only) }) {
		return fmt.Errorf("-only: no row has a name that contains %q", o.only)
	}
	return nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	// Nothing here uses TLS, and reading a bundle of certificates takes as much CPU as
	// 20,000 objects.
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
	fmt.Fprint(out, text)
	return measure.WriteResults(o.out, map[string][]byte{
		"bench.json": measure.JSON(report), "bench.txt": []byte(text), "bench.svg": report.Picture(),
	})
}
