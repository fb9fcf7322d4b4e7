package node

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
)

// stopOnHangup returns a context that ends at a hangup, too, unless the process was started to
// ignore it, as by nohup.
func stopOnHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx, func() {}
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// onHangup calls do at each hangup, one after the other, until ctx ends.
func onHangup(ctx context.Context, do func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				do()
			}
		}
	}()
}

// logged runs a process. It logs its start, when it is told to stop, and its end, each
// with the version.
func logged(ctx context.Context, log *slog.Logger, process string, run func(context.Context) error) error {
	log = log.With("process", process, "version", buildinfo.Version())
	log.InfoContext(ctx, "starting")
	stopping := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		log.InfoContext(ctx, "stopping", "cause", context.Cause(ctx))
		close(stopping)
	})
	err := run(ctx)
	if !cancel() {
		<-stopping
	}
	if err != nil {
		log.ErrorContext(ctx, "stopped", "err", err)
		return err
	}
	log.InfoContext(ctx, "stopped")
	return nil
}
