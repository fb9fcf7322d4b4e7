// Command sign measures how soon rangectl shows that an import moves: the time from the first page
// of keys that the store served, which is the coordinator's when it plans the import, to the first
// line with listed keys, and the longest time between two lines after that. It prints a row for
// each import, and the medians.
//
// Run it in the directory of its module.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/await"
)

// options say what is measured.
type options struct {
	rounds  int
	bucket  string
	latency time.Duration
}

func main() { measure.Main("sign", run) }

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("sign", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 5, "`number` of imports")
	flags.StringVar(&o.bucket, "bucket", "hive-1m", "`name` of a synthetic bucket")
	flags.DurationVar(&o.latency, "latency", 100*time.Millisecond, "`time` that each LIST call takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.rounds < 1 {
		return fmt.Errorf("%d rounds: want at least one", o.rounds)
	}
	dir, err := os.MkdirTemp("", "rangefleet-sign-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of a temporary directory
	if err := fleet.Build(ctx, dir); err != nil {
		return err
	}
	if err := fleet.Compile(ctx, dir, "..", "./cmd/rangectl", "rangectl"); err != nil {
		return err
	}
	slow := synths3.Faults{List: synths3.Call{Latency: synths3.Latency{Base: synths3.Duration{Duration: o.latency}}}}
	f, err := fleet.Start(ctx, fleet.Config{Dir: dir, Coordinators: 1, Workers: 2, Slots: 2, Faults: slow})
	if err != nil {
		return err
	}
	defer f.Close()
	return measureAll(ctx, o, f, filepath.Join(dir, "rangectl"), out)
}

func measureAll(ctx context.Context, o options, f *fleet.Fleet, rangectl string, out io.Writer) error {
	fmt.Fprintf(out, "Imports of %s, each LIST takes %v. %s\n\n%8s %12s %12s %8s\n", o.bucket, o.latency, measure.Load(), "import", "first sign", "longest gap", "lines")
	var signs, gaps []float64
	for n := range o.rounds {
		name := fmt.Sprint("repo", n)
		if err := f.Repository(ctx, name); err != nil {
			return err
		}
		sign, gap, lines, err := measureOne(ctx, f, rangectl, "s3://"+o.bucket+"/", "lakefs://"+name+"/main")
		if err != nil {
			return err
		}
		signs, gaps = append(signs, sign.Seconds()), append(gaps, gap.Seconds())
		fmt.Fprintf(out, "%8d %10.2f s %10.2f s %8d\n", n+1, sign.Seconds(), gap.Seconds(), lines)
	}
	_, err := fmt.Fprintf(out, "%8s %10.2f s %10.2f s\n", "median", measure.Median(signs), measure.Median(gaps))
	return err
}

// measureOne imports once. It returns the time to the first line with listed keys, and the longest
// between two of the lines that follow.
func measureOne(ctx context.Context, f *fleet.Fleet, rangectl, from, to string) (sign, gap time.Duration, lines int, err error) {
	before, err := keys(ctx, f)
	if err != nil {
		return 0, 0, 0, err
	}
	cmd := exec.CommandContext(ctx, rangectl, "import", "--progress", "json", "--from", from, "--to", to)
	cmd.Env = append(os.Environ(), "RANGECTL_ENDPOINT="+f.Coordinators[0].URL,
		"RANGECTL_ACCESS_KEY_ID="+fleet.AccessKey, "RANGECTL_SECRET_ACCESS_KEY="+fleet.SecretKey)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, 0, 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, 0, 0, err
	}
	running, ended := context.WithCancel(ctx)
	defer ended()
	first := make(chan time.Time, 1)
	go func() { first <- firstPage(running, f, before) }()
	at, last := shown(stderr)
	err = cmd.Wait()
	ended()
	begun := <-first
	if err != nil {
		return 0, 0, 0, fmt.Errorf("import %s: %w: %s", from, err, last)
	}
	if len(at) == 0 {
		return 0, 0, 0, fmt.Errorf("import %s: no line shows listed keys: it was too fast", from)
	}
	for i, t := range at[1:] {
		gap = max(gap, t.Sub(at[i]))
	}
	return at[0].Sub(begun), gap, len(at), nil
}

// shown returns when the lines came in that show listed keys, and the last line of all.
func shown(stderr io.Reader) (at []time.Time, last string) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		last = lines.Text()
		var line struct {
			Type   string `json:"message_type"`
			Listed int64  `json:"listed_objects"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Type == "status" && line.Listed > 0 {
			at = append(at, time.Now())
		}
	}
	return at, last
}

// firstPage waits until the store has served more keys than it had before, or until ctx ends, and
// returns when that was.
func firstPage(ctx context.Context, f *fleet.Fleet, before int64) (at time.Time) {
	_ = await.Until(ctx, time.Minute, func(ctx context.Context) (bool, error) { // the import fails if the store does
		now, err := keys(ctx, f)
		at = time.Now()
		return now > before, err
	})
	return at
}

func keys(ctx context.Context, f *fleet.Fleet) (int64, error) {
	var c synths3.Counters
	err := f.Control(ctx, http.MethodGet, "counters", nil, &c)
	return c.Keys, err
}
