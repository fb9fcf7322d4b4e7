package node

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
)

// TestSignalsEndAProcess sends each signal that must drain a process to this one.
func TestSignalsEndAProcess(t *testing.T) {
	heeded := make(chan os.Signal, 1)
	signal.Notify(heeded, syscall.SIGHUP) // also where the tests were started to ignore it
	defer signal.Stop(heeded)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd := &cobra.Command{Use: "p", RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := stopOnHangup(cmd.Context())
			defer stop()
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}}
		cmd.SetArgs(nil)
		if code := Main(cmd); code != 0 {
			t.Errorf("%v: exit code %d", sig, code)
		}
	}
}

func TestAnIgnoredHangupStaysIgnored(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	_, stop := stopOnHangup(t.Context())
	defer stop()
	if !signal.Ignored(syscall.SIGHUP) {
		t.Error("a hangup ends a process that was started to ignore it")
	}
}

func TestAProcessLogsItsStartAndEnd(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want []string // of the lines, in order
	}{
		{nil, []string{"INFO msg=starting", "INFO msg=stopping", "INFO msg=stopped"}},
		{errors.New("disk full"), []string{"INFO msg=starting", "INFO msg=stopping", `ERROR msg=stopped`}},
	} {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		ctx, stop := context.WithCancelCause(t.Context())
		err := logged(ctx, log, "worker", func(context.Context) error {
			stop(errors.New("hangup"))
			return tc.err
		})
		if !errors.Is(err, tc.err) {
			t.Errorf("it returned %v, want %v", err, tc.err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(tc.want) {
			t.Fatalf("it logged %q", lines)
		}
		for i, line := range lines {
			if !strings.Contains(line, tc.want[i]) || !strings.Contains(line, "version="+buildinfo.Version()) || !strings.Contains(line, "process=worker") {
				t.Errorf("line %d is %q, want %q and the version", i, line, tc.want[i])
			}
		}
		if !strings.Contains(lines[1], "cause=hangup") {
			t.Errorf("what told it to stop is not logged: %q", lines[1])
		}
		if tc.err != nil && !strings.Contains(out.String(), "disk full") {
			t.Errorf("the cause is not logged: %q", lines)
		}
	}
}
