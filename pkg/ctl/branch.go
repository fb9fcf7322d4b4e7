package ctl

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func branchCommand(a *app) *cobra.Command {
	return group("branch", "Create, show and move branches", branchCreate(a), branchList(a), branchGet(a), branchReset(a), branchRevert(a))
}

func branchCreate(a *app) *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:     "create lakefs://repository/branch --source REF",
		Short:   "Create a branch from another branch or a commit",
		Example: `  rangectl branch create lakefs://demo/nightly --source main`,
		RunE: get(a, kindBranch, atRef, func(ctx context.Context, c *client.Client, p place) (api.Ref, error) {
			commit, err := c.CreateBranch(ctx, p.repository, p.ref, source)
			if err != nil {
				return api.Ref{}, fmt.Errorf("creating the branch: %w", err)
			}
			return api.Ref{ID: p.ref, CommitID: commit}, nil
		}, branchLine),
	}
	cmd.Flags().StringVarP(&source, "source", "s", "", "`ref` to start from: a branch, or a commit's ID")
	a.completeFlag(cmd, "source", "REF")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}

func branchList(a *app) *cobra.Command {
	var page client.Page
	return lists(a, &cobra.Command{
		Use:   "list lakefs://repository",
		Short: "List branches: name, commit",
	}, kindBranch, &page, inRepository, func(ctx context.Context, c *client.Client, p place) iter.Seq2[api.Ref, error] {
		return c.Branches(ctx, p.repository, page)
	}, branchLine)
}

func branchGet(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "get lakefs://repository/branch",
		Short: "Show one branch",
		RunE: get(a, kindBranch, atRef, func(ctx context.Context, c *client.Client, p place) (api.Ref, error) {
			return c.Branch(ctx, p.repository, p.ref)
		}, branchLine),
	}
}

func branchLine(w io.Writer, b api.Ref) error {
	_, err := fmt.Fprintf(w, "%-24s  %s\n", printable(b.ID), printable(b.CommitID))
	return err
}

func branchReset(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "reset lakefs://repository/branch REF",
		Aliases: []string{"move-to-commit"},
		Short:   "Move a branch to a commit, such as an earlier one",
		Long: `Makes the commit REF the head of the branch. REF is a commit's ID, or the name of a branch,
which stands for its head. Later commits are taken off the branch, but not deleted: the
command that is printed brings them back. An import that is still running commits to the
new head.`,
		Example: `  rangectl log lakefs://demo/main
  rangectl branch reset lakefs://demo/main 5b3fe2c1...`,
		RunE: run(func(ctx context.Context, args []string) error {
			return moveBranch(ctx, a, args[0], "resetting the branch", func(ctx context.Context, c *client.Client, p place) error {
				return c.ResetBranch(ctx, p.repository, p.ref, args[1])
			})
		}),
	}
}

// moveTimeout is how long a reset or revert may take. A revert reads the changes of both
// sides.
const moveTimeout = 6 * time.Minute

func branchRevert(a *app) *cobra.Command {
	var revert api.RevertCreation
	cmd := &cobra.Command{
		Use:   "revert lakefs://repository/branch REF...",
		Short: "Undo the changes of commits, by new commits",
		Long: `Makes a commit that undoes the changes of the commit REF. REF is a commit's ID, or the name
of a branch, which stands for its head. Changes of later commits are kept. If a later commit
changed one of the keys again, that is a conflict, and the branch stays as it is. Several
REFs are reverted in the given order, with a commit for each. The first conflict ends the
command; the commits made before it stay.`,
		Example: `  rangectl branch revert lakefs://demo/main 5b3fe2c1...`,
		RunE: run(func(ctx context.Context, args []string) error {
			return moveBranch(ctx, a, args[0], "reverting", func(ctx context.Context, c *client.Client, p place) error {
				return revertAll(ctx, c, p, args[1:], revert)
			})
		}),
	}
	cmd.Flags().IntVarP(&revert.ParentNumber, "parent-number", "m", 0, "`number`, from 1, of the parent to go back to, for a commit with several")
	cmd.Flags().BoolVar(&revert.AllowEmpty, "allow-empty", false, "make a commit even if it changes nothing")
	return cmd
}

// revertAll reverts commits in turn. The error names the commit that could not be
// reverted, and those that were.
func revertAll(ctx context.Context, c *client.Client, p place, refs []string, revert api.RevertCreation) error {
	for i, ref := range refs {
		revert.Ref = ref
		err := c.RevertBranch(ctx, p.repository, p.ref, revert)
		if err != nil && i > 0 {
			return fmt.Errorf("%s (%s was reverted): %w", ref, strings.Join(refs[:i], ", "), err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	return nil
}

// moveBranch moves a branch, and shows where it was and where it is.
func moveBranch(ctx context.Context, a *app, uri, doing string, move func(context.Context, *client.Client, place) error) error {
	p, err := atRef(uri)
	if err != nil {
		return err
	}
	c, err := a.client(client.Config{Timeout: moveTimeout})
	if err != nil {
		return err
	}
	was, err := c.Branch(ctx, p.repository, p.ref)
	if err != nil {
		return a.missing(ctx, p, uri, err)
	}
	err = move(ctx, c, p)
	if client.Transient(err) {
		doing += ", which was at " + was.CommitID
	}
	if err != nil {
		return changing(ctx, doing, err)
	}
	now, err := c.Branch(ctx, p.repository, p.ref)
	if err != nil {
		return fmt.Errorf("the branch, which was at %s, was moved; reading where it is: %w", was.CommitID, err)
	}
	undo := fmt.Sprintf("rangectl branch reset %s %s", p, was.CommitID)
	if a.endpoint != "" {
		undo += " --endpoint " + a.endpoint
	}
	a.insist(notice{Message: fmt.Sprintf("branch %s was at %s", p, was.CommitID), Undo: undo})
	return show(a, kindBranch, movedBranch{now, was.CommitID}, func(w io.Writer, b movedBranch) error { return branchLine(w, b.Ref) })
}

// movedBranch is a branch, and the head that it had before.
type movedBranch struct {
	api.Ref
	Was string `json:"was"`
}
