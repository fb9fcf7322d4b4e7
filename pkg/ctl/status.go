package ctl

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/client"
)

func statusCommand(a *app) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status lakefs://repository/branch ID",
		Short: "Show the progress of an import, or how it ended",
		Long: `Shows the progress of an import, or how it ended. With --watch it waits for the end,
and the exit code is that of the import. Without it, the exit code is 0 however the
import ended. Ctrl-C ends only the command: the import goes on.`,
		RunE: callImport(a, func(ctx context.Context, c *client.Client, what imported) error {
			if watch {
				return watchAgain(ctx, a, what)
			}
			s, err := c.ImportStatus(ctx, what.place.repository, what.place.ref, what.id)
			if err != nil {
				return unknown(ctx, a, what, err)
			}
			as := kindStatus
			if ended(s) {
				as = kindSummary
			}
			return show(a, as, summarize(what.id, s), what.sheet)
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "wait until the import ends")
	addProgress(cmd, a)
	return cmd
}

// callImport makes the runE of a command that calls a coordinator about the import that its
// two arguments name.
func callImport(a *app, f func(context.Context, *client.Client, imported) error) runE {
	return run(func(ctx context.Context, args []string) error {
		p, err := atRef(args[0])
		if err == nil && args[1] == "" {
			err = usage("the import's ID is empty")
		}
		if err != nil {
			return err
		}
		c, err := a.client(client.Config{})
		if err != nil {
			return err
		}
		return f(ctx, c, imported{p, args[1]})
	})
}

// watchAgain watches an import that was started earlier.
func watchAgain(ctx context.Context, a *app, what imported) error {
	seen, err := follow(ctx, a, what, a.sys.Now())
	if err != nil {
		return err
	}
	return conclude(a, what, seen.last, seen.total(a.sys.Now(), false))
}

func cancelCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel lakefs://repository/branch ID",
		Short: "Cancel an import; the branch stays as it was",
		RunE: callImport(a, func(ctx context.Context, c *client.Client, what imported) error {
			if err := c.CancelImport(ctx, what.place.repository, what.place.ref, what.id); err != nil {
				return changing(ctx, "canceling", unknown(ctx, a, what, err))
			}
			return showLine(a, kindSummary, map[string]any{"id": what.id, "canceled": true}, "import %s canceled", printable(what.id))
		}),
	}
}
