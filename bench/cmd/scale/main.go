// Command scale prints the tables of docs/scale.md. With -measure it first measures the
// numbers that they are computed from, and writes them to results/scale.json.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/scale"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	measure := flag.Bool("measure", false, "measure a coordinator and a NATS server, which takes about a minute")
	results := flag.String("results", "results", "`directory` of the measured results")
	flag.Parse()
	if err := run(ctx, *measure, *results); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, measure bool, results string) error {
	if measure {
		if err := write(ctx, filepath.Join(results, "scale.json")); err != nil {
			return err
		}
	}
	m, err := scale.Load(results)
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(scale.Tables(m, scale.Place))
	return err
}

// perRange is the number of keys in a measured range. It matters little: it only determines
// where the keys of two ranges begin to differ.
const perRange = 50_000

func write(ctx context.Context, path string) (err error) {
	r := scale.Results{Date: time.Now().UTC().Truncate(time.Second), Machine: fmt.Sprintf("%d cores, %s", runtime.NumCPU(), runtime.Version())}
	dir, err := os.MkdirTemp("", "rangefleet-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	if r.Idle, err = idle(ctx, dir); err != nil {
		return fmt.Errorf("measure a coordinator without imports: %w", err)
	}
	if r.Sizes, err = scale.MeasureSizes(ctx, perRange); err != nil {
		return fmt.Errorf("measure sizes: %w", err)
	}
	if r.Speeds, err = scale.MeasureSpeeds(ctx, filepath.Join(dir, "nats"), perRange); err != nil {
		return fmt.Errorf("measure speeds: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// idle returns the peak memory of an idle coordinator.
func idle(ctx context.Context, dir string) (float64, error) {
	if err := fleet.Build(ctx, dir); err != nil {
		return 0, err
	}
	f, err := fleet.Start(ctx, fleet.Config{Dir: dir, Coordinators: 1})
	if err != nil {
		return 0, err
	}
	defer f.Close()
	u, err := f.Coordinators[0].Usage()
	return float64(u.Peak), err
}
