package node

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// Command returns the command line of a process: its settings as flags, and the
// subcommand `config print`. It runs until SIGINT, SIGTERM or SIGHUP, unless there is
// a file of settings, whose level of the log SIGHUP makes it read again, or the
// settings make SIGHUP read other files again.
func Command(name, short string, p settings.Process, run func(context.Context, Env) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Version: buildinfo.Version(), SilenceUsage: true, SilenceErrors: true,
	}
	settings.AddFlags(cmd.PersistentFlags(), p)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := settings.Load(p, cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		log := NewLogger(s.Log, s.Fleet, os.Stderr)
		ctx := cmd.Context()
		switch {
		case s.File() != "":
			onHangup(ctx, func() {
				log.reread(func() (settings.Settings, error) { return settings.Load(p, cmd.Flags(), os.Environ()) })
			})
		case p == settings.Worker || !s.RereadsFiles(): // else a hangup makes the coordinator do that
			var stop context.CancelFunc
			ctx, stop = stopOnHangup(ctx)
			defer stop()
		}
		return logged(ctx, log.Logger, name, func(ctx context.Context) error {
			return run(ctx, Env{Settings: s, Log: log.Logger, Notices: cmd.OutOrStdout(), Stderr: os.Stderr, Started: func(Info) {}})
		})
	}
	config := &cobra.Command{
		Use: "config", Short: "Look at the settings", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	config.AddCommand(&cobra.Command{
		Use: "print", Short: "Print the settings in force, and where each comes from; secrets are hidden", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings.Load(p, cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return s.Print(cmd.OutOrStdout())
		},
	})
	cmd.AddCommand(config)
	return cmd
}

// Main runs a command until it ends or the process is told to stop, and returns
// the exit code of the process. A process that cannot keep its memory to itself goes on, and says
// so.
func Main(cmd *cobra.Command) int {
	if err := forbidCoreDumps(); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Name(), err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Name(), err)
		return 1
	}
	return 0
}
