package ctl

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func (a *app) branchReset() *cobra.Command {
	return &cobra.Command{
		Use:     "reset lakefs://repository/branch REF",
		Aliases: []string{"move-to-commit"},
		Short:   "Move a branch to a commit, also back to an earlier one",
		Long: `Makes the commit REF the head of the branch. REF is a commit's ID, or a branch that has it as
its head. The branch loses the commits after it, but they are not deleted: the command that is
printed brings them back. An import that is still running lands on the new head.`,
		Example: `  rangectl log lakefs://demo/main
  rangectl branch reset lakefs://demo/main 5b3fe2c1...`,
		Args: cobra.ExactArgs(2),
		RunE: run(func(ctx context.Context, args []string) error {
			return a.moved(ctx, args[0], "resetting the branch", func(ctx context.Context, c *client.Client, p place) error {
				return c.ResetBranch(ctx, p.repository, p.ref, args[1])
			})
		}),
	}
}

// revertWithin is how long a revert may take: it reads what both sides have changed.
const revertWithin = 6 * time.Minute

func (a *app) branchRevert() *cobra.Command {
	var what api.RevertCreation
	cmd := &cobra.Command{
		Use:   "revert lakefs://repository/branch REF...",
		Short: "Take back what commits changed, by new commits",
		Long: `Makes a commit that takes back what the commit REF changed. REF is a commit's ID, or a branch
that has it as its head. What other commits changed since stays. A key that both changed is a
conflict, and the branch stays as it is. Several REFs are reverted one after another, a commit
each; the first conflict stops that, and the commits made before it stay.`,
		Example: `  rangectl branch revert lakefs://demo/main 5b3fe2c1...`,
		Args:    cobra.MinimumNArgs(2),
		RunE: run(func(ctx context.Context, args []string) error {
			return a.moved(ctx, args[0], "reverting", func(ctx context.Context, c *client.Client, p place) error {
				for i, ref := range args[1:] {
					what.Ref = ref
					err := c.RevertBranch(ctx, p.repository, p.ref, what)
					if err != nil && i > 0 {
						return fmt.Errorf("%s (%s was reverted): %w", ref, strings.Join(args[1:i+1], ", "), err)
					}
					if err != nil {
						return fmt.Errorf("%s: %w", ref, err)
					}
				}
				return nil
			})
		}),
	}
	cmd.Flags().IntVarP(&what.ParentNumber, "parent-number", "m", 0, "`number` of the parent to go back to, from 1 on, of a commit with several")
	cmd.Flags().BoolVar(&what.AllowEmpty, "allow-empty", false, "make a commit also if it changes nothing")
	return cmd
}

// moved moves a branch, and shows where it was and where it is.
func (a *app) moved(ctx context.Context, uri, doing string, move func(context.Context, *client.Client, place) error) error {
	p, err := atRef(uri)
	if err != nil {
		return err
	}
	c, err := a.client(client.Config{Timeout: revertWithin})
	if err != nil {
		return err
	}
	was, err := c.Branch(ctx, p.repository, p.ref)
	if err != nil {
		return missingAt(uri, err)
	}
	err = move(ctx, c, p)
	if client.Transient(err) && ctx.Err() == nil {
		return &failure{Unknown, fmt.Errorf("%s, which was at %s: %w", doing, was.CommitID, err)}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	now, err := c.Branch(ctx, p.repository, p.ref)
	if err != nil {
		return fmt.Errorf("it is done, and the branch was at %s: %w", was.CommitID, err)
	}
	back := fmt.Sprintf("rangectl branch reset %s %s", p, was.CommitID)
	if a.endpoint != "" {
		back += " --endpoint " + a.endpoint
	}
	fmt.Fprintf(a.Err, "to undo it:  %s\n", printable(back))
	return a.show(movedBranch{now, was.CommitID}, func(w io.Writer) error { return branchLine(w, now) })
}

// movedBranch is a branch with the head that it had.
type movedBranch struct {
	api.Ref
	Was string `json:"was"`
}
