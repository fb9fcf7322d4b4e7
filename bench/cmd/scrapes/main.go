// Command scrapes compares the CPU time of a coordinator that nobody scrapes with that of one that 20
// Prometheus servers scrape once a second. Periods without scrapes and with them take turns, so that
// a slow hour of the machine slows down both. It prints a table.
//
// With -base the coordinator of another version takes part.
//
// Run it in the directory of its module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/internal/process"
)

// options say what is measured.
type options struct {
	scrapers int
	period   time.Duration
	rounds   int
	base     string
}

func main() { measure.Main("scrapes", run) }

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("scrapes", flag.ContinueOnError)
	flags.IntVar(&o.scrapers, "scrapers", 20, "`number` of Prometheus servers, each of which scrapes once a second")
	flags.DurationVar(&o.period, "period", 10*time.Second, "`time` that is measured, without scrapes and with them")
	flags.IntVar(&o.rounds, "rounds", 3, "`number` of periods of each kind")
	flags.StringVar(&o.base, "base", "", "`directory` of the program of another version, to compare with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.rounds < 1 || o.scrapers < 1 || o.period < time.Second {
		return fmt.Errorf("%d rounds of %v with %d scrapers: there must be one of each, and a second", o.rounds, o.period, o.scrapers)
	}
	dir, err := os.MkdirTemp("", "rangefleet-scrapes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // of a temporary directory
	if err := fleet.Compile(ctx, dir, "..", "./cmd/coordinator", "coordinator"); err != nil {
		return err
	}
	fmt.Fprintf(out, "CPU time of a coordinator, in percent of a core, median of %d times %v. %s\n\n", o.rounds, o.period, measure.Load())
	fmt.Fprintf(out, "%-20s %10s %12s %10s\n", "", "no scrapes", fmt.Sprintf("%d a second", o.scrapers), "difference")
	for _, version := range []struct{ name, dir string }{{"the other version", o.base}, {"this version", dir}} {
		if version.dir == "" {
			continue
		}
		without, with, err := measureOne(ctx, o, version.dir)
		if err != nil {
			return fmt.Errorf("measure %s: %w", version.name, err)
		}
		fmt.Fprintf(out, "%-20s %10.2f %12.2f %10.2f\n", version.name, without, with, with-without)
	}
	return nil
}

// measureOne returns which part of a core the coordinator in a directory takes, in percent.
func measureOne(ctx context.Context, o options, dir string) (without, with float64, err error) {
	address, err := process.FreeAddress()
	if err != nil {
		return 0, 0, err
	}
	data, err := os.MkdirTemp("", "rangefleet-scrapes-data-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(data) //nolint:errcheck // of a temporary directory
	c, err := fleet.Launch(ctx, dir, "coordinator", []string{"RANGEFLEET_LISTEN=" + address, "RANGEFLEET_NATS_STORE_DIR=" + filepath.Join(data, "nats")}, nil)
	if err != nil {
		return 0, 0, err
	}
	defer c.Kill()
	c.URL = "http://" + address
	if err := c.Ready(ctx, "/_ready"); err != nil {
		return 0, 0, err
	}
	var idle, scraped []float64
	for range o.rounds {
		for scrapers, all := range map[int]*[]float64{0: &idle, o.scrapers: &scraped} {
			share, err := measurePeriod(ctx, c, scrapers, o.period)
			if err != nil {
				return 0, 0, err
			}
			*all = append(*all, share)
		}
	}
	return measure.Median(idle), measure.Median(scraped), nil
}

// measurePeriod returns which part of a core a process takes, in percent, while it is scraped.
func measurePeriod(ctx context.Context, p *fleet.Process, scrapers int, period time.Duration) (float64, error) {
	before, err := p.Usage()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	during, end := context.WithTimeout(ctx, period)
	defer end()
	all, running := errgroup.WithContext(during)
	for n := range scrapers {
		all.Go(func() error {
			return scrape(running, p.URL+"/metrics", time.Duration(n)*time.Second/time.Duration(scrapers))
		})
	}
	err = all.Wait()
	<-during.Done()
	if err = errors.Join(err, ctx.Err()); err != nil {
		return 0, err
	}
	took := time.Since(begun)
	after, err := p.Usage()
	return 100 * (after.CPU - before.CPU).Seconds() / took.Seconds(), err
}

// scrape scrapes once a second as Prometheus does, after a first wait, until ctx ends.
func scrape(ctx context.Context, target string, wait time.Duration) error {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}} // it does not decompress
	defer client.CloseIdleConnections()
	next := time.NewTimer(wait)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		next.Reset(time.Second)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
		if err != nil {
			return err
		}
		r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1")
		r.Header.Set("Accept-Encoding", "gzip")
		resp, err := client.Do(r)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // what was read is what counts
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("scrape %s: %w", target, err)
		}
	}
}
