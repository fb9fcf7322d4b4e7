// Command stage works one stage of package stage through a number of objects,
// and says what that took. The bench command runs it.
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
	name := flag.String("stage", "table", "which stage")
	bucket := flag.String("bucket", "hive-1m", "whose pages to work on, again and again")
	pages := flag.Int("pages", 1000, "how many pages of 1000 objects to work through")
	distinct := flag.Int("distinct", 200, "how many pages to hold in memory")
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
		return fmt.Errorf("no stage is called %q", name)
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
