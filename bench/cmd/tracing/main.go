// Command tracing compares what tracing costs a fleet: the CPU time of a worker and a coordinator
// that import the same objects without traces, with one import in a hundred recorded, and with all
// of them recorded. The fleets take turns, so that a slow hour of the machine slows down all. It
// prints a table, and writes it with every number into the directory of results.
//
// With -base the programs of another version take part, without traces. That shows what it costs
// that imports can be traced, and what else has changed since.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

const importWithin = 10 * time.Minute

// keepBytes is how many bytes of range files the synthetic S3 keeps for an object of an import:
// coordinators read them again, to merge what was imported into a tree.
const keepBytes = 200

// options say what is measured.
type options struct {
	bucket  string
	objects int64
	rounds  int
	base    string
	out     string
}

// Row is the result of one kind of fleet.
type Row struct {
	Name   string    `json:"name"`
	CPU    []float64 `json:"cpu_seconds_per_million"` // by round
	Median float64   `json:"median"`
	Ratio  float64   `json:"ratio"` // of the CPU time to that of the first row in the same round: the geometric mean
	Error  float64   `json:"error"` // standard error of the ratio
	Target float64   `json:"target,omitempty"`
	Spans  float64   `json:"spans"` // that the collector took, of all rounds
}

func main() { measure.Main("tracing", run) }

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rangefleet-tracing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of a temporary directory
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	collector, stop, err := startCollector(ctx)
	if err != nil {
		return err
	}
	defer stop()
	const most = 4 // sides
	s3, err := fleet.LaunchS3(ctx, dir, "-keep", fmt.Sprint(keepBytes*o.objects*most*int64(o.rounds+1)))
	if err != nil {
		return err
	}
	defer s3.Kill()
	if o.base != "" {
		if err := fleet.Compile(ctx, o.base, ".", "github.com/nats-io/nats-server/v2", "nats-server"); err != nil {
			return err
		}
	}
	sides, err := startSides(ctx, o, dir, s3, collector)
	defer func() {
		for _, s := range sides {
			s.fleet.Close()
		}
	}()
	if err != nil {
		return err
	}
	rows, err := measureAll(ctx, o, sides, out)
	if err != nil {
		return err
	}
	return measure.Publish(out, o.out, "tracing", table(o, rows), rows)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("tracing", flag.ContinueOnError)
	flags.StringVar(&o.bucket, "bucket", "hive-1m", "`set` of objects: its name tells shape and number")
	flags.IntVar(&o.rounds, "rounds", 25, "`number` of imports of each kind of fleet")
	flags.StringVar(&o.base, "base", "", "`directory` of the coordinator and the worker of another version, to compare with; gets data and logs, too")
	flags.StringVar(&o.out, "out", "results", "`directory` for tracing.txt and tracing.json; empty for none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	set, ok := keyset.Parse(o.bucket)
	if !ok || o.rounds < 1 {
		return o, fmt.Errorf("bucket %q and %d rounds: the bucket must name a set of objects, and there must be a round", o.bucket, o.rounds)
	}
	o.objects = set.Len()
	return o, nil
}

// startCollector starts a collector that takes all spans and drops them.
func startCollector(ctx context.Context) (endpoint string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	take := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	server := &http.Server{Handler: http.HandlerFunc(take), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // it ends by stop
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}

// side is a fleet of one kind.
type side struct {
	Row
	fleet *fleet.Fleet
}

func startSides(ctx context.Context, o options, dir string, s3 *fleet.Process, collector string) (sides []*side, err error) {
	traced := func(ratio string) []string {
		return []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
			"OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=" + ratio,
		}
	}
	kinds := []struct {
		name   string
		dir    string
		env    []string
		target float64
	}{
		{"no traces", dir, nil, 0},
		{"one import in a hundred recorded", dir, traced("0.01"), 1.05},
		{"all imports recorded", dir, traced("1"), 0},
	}
	if o.base != "" {
		kinds = append(kinds[:1:1], kinds...)
		kinds[0].name, kinds[0].dir = "the other version", o.base
		kinds[1].target = 1.02
	}
	for _, k := range kinds {
		f, err := fleet.Start(ctx, fleet.Config{Dir: k.dir, Coordinators: 1, Workers: 1, Slots: 1, S3: s3, Env: k.env, Unsynced: true})
		sides = append(sides, &side{Row{Name: k.name, Target: k.target}, f})
		if err == nil {
			err = f.Repository(ctx, fmt.Sprintf("repo-%d", len(sides)))
		}
		if err != nil {
			return sides, fmt.Errorf("start a fleet for %q: %w", k.name, err)
		}
	}
	return sides, nil
}

// measureAll imports with each fleet in turn, with another one first in each round. The first import of
// each only warms it up.
func measureAll(ctx context.Context, o options, sides []*side, out io.Writer) (rows []Row, err error) {
	for round := range o.rounds + 1 {
		for i := range sides {
			n := (round + i) % len(sides)
			s := sides[n]
			cpu, err := s.importOnce(ctx, o, fmt.Sprintf("repo-%d", n+1), round)
			if err != nil {
				return nil, fmt.Errorf("import by %q: %w", s.Name, err)
			}
			if round > 0 {
				s.CPU = append(s.CPU, cpu)
				fmt.Fprintf(out, "round %d: %-34s %.3f CPU-s per million objects\n", round, s.Name, cpu)
			}
		}
	}
	for _, s := range sides {
		s.Median = measure.Median(s.CPU)
		s.Ratio, s.Error = ratio(s.CPU, sides[0].CPU)
		for _, p := range append(s.fleet.Listers(), s.fleet.Coordinators...) {
			n, err := p.Metric(ctx, "rangefleet_trace_spans_exported_total")
			if err != nil {
				return nil, err
			}
			s.Spans += n
		}
		rows = append(rows, s.Row)
	}
	return rows, nil
}

// ratio returns the geometric mean of the ratios of two lists of numbers, pair by pair, and its standard
// error, which is 0 for a single pair. A round differs from another one by more than what is measured,
// so that many are needed.
func ratio(of, to []float64) (mean, standardError float64) {
	n := float64(len(of))
	var sum, squares float64
	for i := range of {
		sum += math.Log(of[i] / to[i])
	}
	for i := range of {
		d := math.Log(of[i]/to[i]) - sum/n
		squares += d * d
	}
	mean = math.Exp(sum / n)
	return mean, mean * math.Sqrt(squares/max(n-1, 1)/n)
}

// importOnce returns the CPU-seconds of the fleet's processes for a million objects.
func (s *side) importOnce(ctx context.Context, o options, repository string, round int) (float64, error) {
	before, err := s.used()
	if err != nil {
		return 0, err
	}
	i, err := s.fleet.Begin(ctx, 0, repository, "main", o.bucket, fmt.Sprintf("round-%d/", round))
	if err != nil {
		return 0, err
	}
	if _, err := i.Wait(ctx, importWithin, time.Second, nil); err != nil {
		return 0, err
	}
	after, err := s.used()
	return (after - before).Seconds() * 1e6 / float64(o.objects), err
}

func (s *side) used() (sum time.Duration, err error) {
	for _, p := range append(s.fleet.Coordinators[:1:1], s.fleet.Workers...) {
		u, err := p.Usage()
		if err != nil {
			return 0, err
		}
		sum += u.CPU
	}
	return sum, nil
}

func table(o options, rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CPU time of a worker and a coordinator for %s, %d rounds. %s\n\n", o.bucket, o.rounds, measure.Load())
	fmt.Fprintf(&b, "%-34s %14s %14s %8s %s\n", "", "s per million", "ratio", "spans", "target")
	for _, r := range rows {
		target := ""
		if r.Target > 0 {
			target = fmt.Sprintf("<= %.2f %s", r.Target, measure.Verdict(r.Ratio <= r.Target))
		}
		fmt.Fprintf(&b, "%-34s %14.3f %6.3f ± %.3f %8.0f %s\n", r.Name, r.Median, r.Ratio, r.Error, r.Spans, target)
	}
	return b.String()
}
