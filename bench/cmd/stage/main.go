// Command stage runs one stage of package stage on a number of objects, and reports the cost.
// The bench command runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/bench/stage"
)

func main() {
	name := flag.String("stage", "table", "`name` of the stage")
	bucket := flag.String("bucket", "hive-1m", "generated `bucket` whose first pages are the input")
	pages := flag.Int("pages", 1000, "`number` of pages of 1000 objects to process")
	distinct := flag.Int("distinct", 200, "`number` of distinct pages to hold in memory and repeat")
	endpoint := flag.String("endpoint", "", "`URL` of the synthetic S3, for stages that need one")
	flag.Parse()
	if err := run(*name, *bucket, *pages, min(*distinct, *pages), *endpoint); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1)
	}
}

func run(name, bucket string, pages, distinct int, endpoint string) error {
	s, ok := stage.ByName(name)
	if !ok {
		return fmt.Errorf("unknown stage %q", name)
	}
	ctx := context.Background()
	in, err := stage.NewInput(ctx, bucket, distinct, endpoint)
	if err != nil {
		return err
	}
	step, err := s.New(ctx, in)
	if err != nil {
		return err
	}
	return measure.Child(os.Stdin, os.Stdout, func() (any, error) {
		return measure.Self(func() error {
			for i := range pages {
				if err := step(i % distinct); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
