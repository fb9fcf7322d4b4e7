// Command lakefs compares an import by a lakeFS server with the same import by a fleet that lands
// it on a branch of another such server. Both list the same synthetic S3. It prints rows and
// targets, and writes both as text and JSON. BENCHMARKS.md in the root of the repository explains
// them.
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
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/measure"
)

// options select what a run measures.
type options struct {
	sizes   []string // objects of an import, such as 200k
	rounds  int
	workers int
	latency time.Duration
	out     string
	keep    bool
}

func main() { measure.Main("lakefs", run) }

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("lakefs", flag.ContinueOnError)
	var o options
	sizes := flags.String("sizes", "200k,1m", "comma-separated numbers of `objects`")
	flags.IntVar(&o.rounds, "rounds", 1, "`number` of imports of each size by each; the median ratio is taken")
	flags.IntVar(&o.workers, "workers", 1, "`number` of worker processes of the fleet")
	flags.DurationVar(&o.latency, "latency", 50*time.Millisecond, "latency of a LIST call")
	flags.StringVar(&o.out, "out", "results", "`directory` for lakefs.txt and lakefs.json; empty to write neither")
	flags.BoolVar(&o.keep, "logs", false, "keep the logs of the processes")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.sizes = strings.Split(*sizes, ",")
	for _, size := range o.sizes {
		if _, err := keys(size); err != nil {
			return o, err
		}
	}
	if o.rounds < 1 || o.workers < 1 {
		return o, errors.New("want rounds and workers")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rangefleet-lakefs-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(out, "logs in", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }() // leftovers do no harm
	}
	b := &bench{options: o, dir: dir, log: out}
	if err := b.all(ctx); err != nil {
		return err
	}
	report := Report{Date: time.Now().UTC().Truncate(time.Second), Load: measure.Load(), Latency: o.latency, Pairs: b.pairs}
	return measure.Publish(out, o.out, "lakefs", report.Text(), report)
}
