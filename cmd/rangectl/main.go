// Command rangectl is the command line of Rangefleet: see docs/rangectl.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rangefleet/rangefleet/pkg/ctl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal interrupts the command; a second one ends the process.
	context.AfterFunc(ctx, stop)
	code := ctl.Run(ctx, ctl.OS(), os.Args[1:])
	stop()
	os.Exit(int(code))
}
