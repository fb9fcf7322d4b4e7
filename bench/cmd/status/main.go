// Command status measures how many statuses of an import a coordinator answers in a second to a
// thousand clients, over how many answers a bare HTTP handler gives that checks the same
// credentials and writes the same bytes. Both serve in processes of their own, by turns. It
// prints rows and targets, and writes both as text and JSON. BENCHMARKS.md in the root of the
// repository explains them.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
)

// options select what a run measures.
type options struct {
	clients int
	rounds  int
	round   time.Duration
	out     string
}

func main() { measure.Main("status", run) }

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.clients, "clients", 1000, "`number` of clients, each with a connection, that ask again as soon as they are answered")
	flags.IntVar(&o.rounds, "rounds", 5, "`number` of rounds; the median is taken")
	flags.DurationVar(&o.round, "round", 2*time.Second, "`time` that a server is asked in a round")
	flags.StringVar(&o.out, "out", "results", "`directory` for status.txt and status.json; empty to write neither")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.clients < 1 || o.rounds < 1 || o.round <= 0 {
		return o, errors.New("want clients, rounds and time for them")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 3 && args[0] == bareCommand {
		return serveBare(args[1], args[2])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rangefleet-status-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // leftovers do no harm
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	if err := fleet.Compile(ctx, dir, ".", "./cmd/status", bareProgram); err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, log: out}
	if err := b.all(ctx); err != nil {
		return err
	}
	report := Report{Date: time.Now().UTC().Truncate(time.Second), Load: measure.Load(), Clients: o.clients, Rows: b.rows}
	return measure.Publish(out, o.out, "status", report.Text(), report)
}
