// Command lakefsd becomes a lakeFS server as tests start it, for programs that are no tests. Its
// arguments are a directory for the server's own files, the address to listen on, the endpoint of
// the store, and settings of lakeFS as NAME=value. It installs lakeFS if it is missing, and without
// arguments does only that.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lakefsd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	programs, err := lakefstest.Programs(ctx)
	if err != nil || len(args) == 0 {
		return err
	}
	if len(args) < 3 {
		return errors.New("want a directory, an address and the endpoint of a store")
	}
	home := args[0]
	c := lakefstest.Config{Blockstore: s3test.Server{Endpoint: args[2], AccessKeyID: "any", SecretAccessKey: "any"}}
	// Of two values of a variable, the first one counts.
	env := slices.Concat(args[3:], process.Env(home), c.Environment(home, args[1]))
	return syscall.Exec(filepath.Join(programs, "lakefs"), []string{"lakefs", "run"}, env) //nolint:gosec // installed here
}
