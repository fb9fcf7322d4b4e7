package ctl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (a *app) repoCommand() *cobra.Command {
	return group("repo", "Create, show and delete repositories", a.repoCreate(), a.repoList(), a.repoGet(), a.repoDelete())
}

func (a *app) repoCreate() *cobra.Command {
	var branch string
	cmd := &cobra.Command{
		Use:   "create lakefs://repository NAMESPACE",
		Short: "Create a repository that stores its metadata under a namespace",
		Example: `  rangectl repo create lakefs://demo s3://lake-metadata/demo
  rangectl repo create lakefs://demo local:///srv/rangefleet/demo`,
		Args: cobra.ExactArgs(2),
		RunE: run(func(ctx context.Context, args []string) error {
			name, err := repositoryName(args[0])
			if err != nil {
				return err
			}
			c, err := a.client(client.Config{})
			if err != nil {
				return err
			}
			r, err := c.CreateRepository(ctx, api.RepositoryCreation{Name: name, StorageNamespace: args[1], DefaultBranch: branch})
			if err != nil {
				return fmt.Errorf("creating the repository: %w", err)
			}
			return a.showRepository(r)
		}),
	}
	cmd.Flags().StringVar(&branch, "default-branch", "main", "`name` of its first branch")
	return cmd
}

func (a *app) repoList() *cobra.Command {
	var page client.Page
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List repositories: name, default branch, namespace",
		Args:  cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error {
			c, err := a.client(client.Config{})
			if err != nil {
				return err
			}
			return list(a, c.Repositories(ctx, page), func(w io.Writer, r api.Repository) error {
				_, err := fmt.Fprintf(w, "%-24s  %-16s  %s\n", printable(r.ID), printable(r.DefaultBranch), printable(cmp.Or(r.Problem, r.StorageNamespace)))
				return err
			})
		}),
	}
	addPage(cmd, &page)
	return cmd
}

func (a *app) repoGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get lakefs://repository",
		Short: "Show one repository",
		Args:  cobra.ExactArgs(1),
		RunE: about(a, repositoryName, func(ctx context.Context, c *client.Client, name string) error {
			r, err := c.Repository(ctx, name)
			if err != nil {
				return err
			}
			return a.showRepository(r)
		}),
	}
}

func (a *app) repoDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete lakefs://repository --yes",
		Short: "Delete a repository with its branches and commits; all files in the store stay",
		Long: `Delete a repository with its branches and commits.

Nothing is deleted in the store: neither the objects that were imported, nor the files
under the storage namespace. The name and the namespace are free again. A repository is
not deleted while an import into it runs. There is no way back.`,
		Example: `  rangectl repo delete lakefs://demo --yes`,
		Args:    cobra.ExactArgs(1),
		RunE: about(a, repositoryName, func(ctx context.Context, c *client.Client, name string) error {
			if !yes {
				return usage("repository %q would be deleted for good: add --yes", name)
			}
			err := c.DeleteRepository(ctx, name)
			if client.Transient(err) && ctx.Err() == nil {
				return &failure{Unknown, fmt.Errorf("deleting the repository: %w", err)}
			}
			if err != nil {
				return fmt.Errorf("deleting the repository: %w", err)
			}
			return a.show(map[string]any{"id": name, "deleted": true}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "repository %s deleted\n", printable(name))
				return err
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "delete it")
	return cmd
}

func (a *app) showRepository(r api.Repository) error {
	return a.show(r, func(w io.Writer) error {
		return sheet(w, "Repository "+r.ID, row{"Namespace", r.StorageNamespace},
			row{"Default branch", r.DefaultBranch}, row{"Created", instant(r.CreationDate)})
	})
}

func (a *app) branchCommand() *cobra.Command {
	return group("branch", "Create, show and move branches", a.branchCreate(), a.branchList(), a.branchGet(),
		a.branchReset(), a.branchRevert())
}

func (a *app) branchCreate() *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:     "create lakefs://repository/branch --source REF",
		Short:   "Create a branch from another branch or a commit",
		Example: `  rangectl branch create lakefs://demo/nightly --source main`,
		Args:    cobra.ExactArgs(1),
		RunE: about(a, atRef, func(ctx context.Context, c *client.Client, p place) error {
			commit, err := c.CreateBranch(ctx, p.repository, p.ref, source)
			if err != nil {
				return fmt.Errorf("creating the branch: %w", err)
			}
			return a.showBranch(api.Ref{ID: p.ref, CommitID: commit})
		}),
	}
	cmd.Flags().StringVarP(&source, "source", "s", "", "`ref` to start from: a branch, or a commit's ID")
	_ = cmd.MarkFlagRequired("source")
	return cmd
}

func (a *app) branchList() *cobra.Command {
	var page client.Page
	cmd := &cobra.Command{
		Use:   "list lakefs://repository",
		Short: "List branches: name, commit",
		Args:  cobra.ExactArgs(1),
		RunE: about(a, repositoryName, func(ctx context.Context, c *client.Client, name string) error {
			return list(a, c.Branches(ctx, name, page), branchLine)
		}),
	}
	addPage(cmd, &page)
	return cmd
}

func (a *app) branchGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get lakefs://repository/branch",
		Short: "Show one branch",
		Args:  cobra.ExactArgs(1),
		RunE: about(a, atRef, func(ctx context.Context, c *client.Client, p place) error {
			b, err := c.Branch(ctx, p.repository, p.ref)
			if err != nil {
				return err
			}
			return a.showBranch(b)
		}),
	}
}

func (a *app) showBranch(b api.Ref) error {
	return a.show(b, func(w io.Writer) error { return branchLine(w, b) })
}

func branchLine(w io.Writer, b api.Ref) error {
	_, err := fmt.Fprintf(w, "%-24s  %s\n", printable(b.ID), printable(b.CommitID))
	return err
}
