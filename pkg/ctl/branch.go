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
		Long: `Makes the commit of REF, a branch or a commit's ID, the head of the branch. What was
committed after it is on the branch no longer; the commits stay, and what is printed
says how to come back to them. An import that has not landed yet lands on the new head.`,
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
		Long: `Commits to the branch what takes back the changes of the commits of REF, branches or
commits' IDs, one after another. What was changed since stays; a key that was changed
again since is a conflict, and the branch stays as it is.`,
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
	cmd.Flags().IntVarP(&what.ParentNumber, "parent-number", "m", 0, "`number` of the parent, from 1 on, that a commit with several is taken back to")
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
		return err
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
