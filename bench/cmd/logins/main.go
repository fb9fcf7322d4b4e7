// Command logins measures how a flood of wrong logins slows down other users. Polite clients ask a
// coordinator for who they are, a few hundred times a second, and by turns a process with one core
// sends wrong access keys, tokens, cookies and logins as fast as they are answered. It prints rows
// and targets, and writes both as text and JSON. BENCHMARKS.md in the root of the repository
// explains them.
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

func main() { measure.Main("logins", run) }

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("logins", flag.ContinueOnError)
	var o options
	flags.IntVar(&o.clients, "clients", 20, "`number` of polite clients, each of which asks every 50 ms")
	flags.IntVar(&o.rounds, "rounds", 5, "`number` of rounds; the median is taken")
	flags.DurationVar(&o.round, "round", 3*time.Second, "`time` of a round with a flood, and of one without")
	flags.StringVar(&o.out, "out", "results", "`directory` for logins.txt and logins.json; empty to write neither")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.clients < 1 || o.rounds < 1 || o.round <= 0 {
		return o, errors.New("want clients, rounds and time for them")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 3 && args[0] == floodCommand {
		return flood(ctx, args[1], args[2])
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rangefleet-logins-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // leftovers do no harm
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	if err := fleet.Compile(ctx, dir, ".", "./cmd/logins", floodProgram); err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, log: out}
	if err := b.all(ctx); err != nil {
		return err
	}
	report := Report{Date: time.Now().UTC().Truncate(time.Second), Load: measure.Load(), Clients: o.clients, Rows: b.rows}
	return measure.Publish(out, o.out, "logins", report.Text(), report)
}
