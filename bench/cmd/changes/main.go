// Command changes compares the cost of counting what an import changes in a branch with the
// cost of the import. One range in ten differs. Run it in the directory of its module.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/rangefleet/rangefleet/bench/changes"
	"github.com/rangefleet/rangefleet/bench/fleet"
)

func main() {
	bucket := flag.String("bucket", "hive-1m", "generated `bucket` to import")
	pages := flag.Int("pages", 300, "`number` of pages of 1000 keys to import")
	rounds := flag.Int("rounds", 5, "`number` of measurements")
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	err := run(ctx, *bucket, *pages, *rounds)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "changes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bucket string, pages, rounds int) error {
	dir, err := os.MkdirTemp("", "changes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // in the temporary directory
	endpoint, err := serve(ctx, dir)
	if err != nil {
		return err
	}
	for range rounds {
		r, err := changes.Measure(ctx, bucket, pages, endpoint)
		if err != nil {
			return err
		}
		fmt.Printf("%d keys, %d of %d ranges differ: import %v CPU, changes %v CPU: ratio %.3f (target below 0.1)\n",
			r.Keys, r.Differ, r.Ranges, r.Import.CPU.Round(1e6), r.Compare.CPU.Round(1e6), r.Ratio())
	}
	return nil
}

// serve starts a synthetic S3 in a process of its own.
func serve(ctx context.Context, dir string) (endpoint string, err error) {
	if err := fleet.Compile(ctx, dir, ".", "./cmd/synths3", "synths3"); err != nil {
		return "", err
	}
	p, err := fleet.LaunchS3(ctx, dir)
	if err != nil {
		return "", err
	}
	return p.URL, nil
}
