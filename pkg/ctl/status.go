package ctl

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/client"
)

func statusCommand(a *app) *cobra.Command {
	var watch bool
	var progress string
	cmd := &cobra.Command{
		Use:   "status lakefs://repository/branch ID",
		Short: "Show the progress of an import, or how it ended",
		Long: `Shows the progress of an import, or how it ended. With --watch it waits for the end,
and the exit code is that of the import. Without it, the exit code is 0 however the
import ended.`,
		Args: cobra.ExactArgs(2),
		RunE: callImport(a, func(ctx context.Context, c *client.Client, what imported) error {
			if watch {
				return watchAgain(ctx, a, what, progress)
			}
			s, err := c.ImportStatus(ctx, what.place.repository, what.place.ref, what.id)
			if err != nil {
				return unknown(what, err)
			}
			return show(a, summarize(what.id, s, 0), what.sheet)
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "wait until the import ends")
	addProgress(cmd, &progress)
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

// unknown adds to a "not found" why there may be no such import.
func unknown(what imported, err error) error {
	if !answered(err, http.StatusNotFound) {
		return err
	}
	return fmt.Errorf("import %s is not known at %s: %w; imports are forgotten a day after they end", what.id, what.place.root(), err)
}

// watchAgain watches an import that was started earlier.
func watchAgain(ctx context.Context, a *app, what imported, progress string) error {
	mode, err := a.progressMode(progress)
	if err != nil {
		return err
	}
	s, err := follow(ctx, a, what, mode, a.sys.Now())
	if err != nil {
		return err
	}
	return conclude(a, what, s, 0)
}

func cancelCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel lakefs://repository/branch ID",
		Short: "Cancel an import; the branch stays as it was",
		Args:  cobra.ExactArgs(2),
		RunE: callImport(a, func(ctx context.Context, c *client.Client, what imported) error {
			if err := c.CancelImport(ctx, what.place.repository, what.place.ref, what.id); err != nil {
				return changing(ctx, "canceling", unknown(what, err))
			}
			return showLine(a, map[string]any{"id": what.id, "canceled": true}, "import %s canceled", printable(what.id))
		}),
	}
}
