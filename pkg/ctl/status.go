package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/client"
)

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	var progress string
	cmd := &cobra.Command{
		Use:   "status lakefs://repository/branch ID",
		Short: "Show how far an import is, or how it ended",
		Long: `Shows how far an import is, or how it ended. With --watch it waits for the end, and
the exit code is that of the import; without, it is 0 whatever became of the import.`,
		Args: cobra.ExactArgs(2),
		RunE: run(func(ctx context.Context, args []string) error {
			what, err := named(args)
			if err != nil {
				return err
			}
			if watch {
				return a.rejoin(ctx, what, progress)
			}
			return a.status(ctx, what)
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "wait until the import ends")
	addProgress(cmd, &progress)
	return cmd
}

// named parses the arguments that name an import.
func named(args []string) (imported, error) {
	p, err := atRef(args[0])
	if err == nil && args[1] == "" {
		err = usage("the import's ID is empty")
	}
	return imported{p, args[1]}, err
}

// unknown adds to an error what it means that there is no such import.
func unknown(what imported, err error) error {
	var answer *client.Error
	if !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		return err
	}
	return fmt.Errorf("import %s is not known at %s: %w; imports are forgotten a day after they end", what.id, what.root(), err)
}

func (a *app) status(ctx context.Context, what imported) error {
	c, err := a.client(client.Config{})
	if err != nil {
		return err
	}
	s, err := c.ImportStatus(ctx, what.repository, what.ref, what.id)
	if err != nil {
		return unknown(what, err)
	}
	sum := summarize(what.id, s, 0)
	return a.show(sum, func(w io.Writer) error { return sum.write(w, what) })
}

func (a *app) rejoin(ctx context.Context, what imported, progress string) error {
	mode, err := a.progressMode(progress)
	if err != nil {
		return err
	}
	s, err := a.follow(ctx, what, mode, a.Now())
	if err != nil {
		return err
	}
	return a.conclude(what, s, 0)
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel lakefs://repository/branch ID",
		Short: "Cancel an import; the branch stays as it was",
		Args:  cobra.ExactArgs(2),
		RunE: run(func(ctx context.Context, args []string) error {
			what, err := named(args)
			if err != nil {
				return err
			}
			c, err := a.client(client.Config{})
			if err != nil {
				return err
			}
			err = c.CancelImport(ctx, what.repository, what.ref, what.id)
			if client.Transient(err) && ctx.Err() == nil {
				return &failure{Unknown, fmt.Errorf("canceling: %w", err)}
			}
			if err != nil {
				return fmt.Errorf("canceling: %w", unknown(what, err))
			}
			return a.show(map[string]any{"id": what.id, "canceled": true}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "import %s canceled\n", printable(what.id))
				return err
			})
		}),
	}
}
