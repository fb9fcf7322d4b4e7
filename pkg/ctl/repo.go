package ctl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func repoCommand(a *app) *cobra.Command {
	return group("repo", "Create, show and delete repositories", repoCreate(a), repoList(a), repoGet(a), repoDelete(a))
}

func repoCreate(a *app) *cobra.Command {
	var branch string
	cmd := &cobra.Command{
		Use:   "create lakefs://repository NAMESPACE",
		Short: "Create a repository that stores its metadata under a namespace",
		Example: `  rangectl repo create lakefs://demo s3://lake-metadata/demo
  rangectl repo create lakefs://demo local:///srv/rangefleet/demo`,
		RunE: run(func(ctx context.Context, args []string) error {
			p, err := inRepository(args[0])
			if err != nil {
				return err
			}
			c, err := a.client(client.Config{})
			if err != nil {
				return err
			}
			r, err := c.CreateRepository(ctx, api.RepositoryCreation{Name: p.repository, StorageNamespace: args[1], DefaultBranch: branch})
			if err != nil {
				return fmt.Errorf("creating the repository: %w", err)
			}
			return show(a, kindRepository, r, repositorySheet)
		}),
	}
	cmd.Flags().StringVar(&branch, "default-branch", "main", "`name` of its first branch")
	return cmd
}

func repoList(a *app) *cobra.Command {
	var page client.Page
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List repositories: name, default branch, namespace",
	}
	return lists(a, cmd, kindRepository, &page, nothing, func(ctx context.Context, c *client.Client, _ struct{}) iter.Seq2[api.Repository, error] {
		return c.Repositories(ctx, page)
	}, func(w io.Writer, r api.Repository) error {
		_, err := fmt.Fprintf(w, "%-24s  %-16s  %s\n", printable(r.ID), printable(r.DefaultBranch), printable(cmp.Or(r.Problem, r.StorageNamespace)))
		return err
	})
}

func repoGet(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "get lakefs://repository",
		Short: "Show one repository",
		RunE: get(a, kindRepository, inRepository, func(ctx context.Context, c *client.Client, p place) (api.Repository, error) {
			return c.Repository(ctx, p.repository)
		}, repositorySheet),
	}
}

func repoDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete lakefs://repository --yes",
		Short: "Delete a repository with its branches and commits, but no file in the store",
		Long: `Deletes a repository with its branches and commits. This cannot be undone.

Nothing is deleted in the store: neither the imported objects, nor the files under the
storage namespace. Afterwards the name and the namespace can be used again. A repository
cannot be deleted while an import into it is running.`,
		Example: `  rangectl repo delete lakefs://demo --yes`,
		RunE: call(a, inRepository, func(ctx context.Context, c *client.Client, p place) error {
			name := p.repository
			if !yes {
				return usage("repository %q would be deleted for good: add --yes", name)
			}
			if err := c.DeleteRepository(ctx, name); err != nil {
				return changing(ctx, "deleting the repository", err)
			}
			return showLine(a, kindRepository, map[string]any{"id": name, "deleted": true}, "repository %s deleted", printable(name))
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "confirm the deletion")
	return cmd
}

func repositorySheet(w io.Writer, r api.Repository) error {
	return sheet(w, "Repository "+r.ID, row{"Namespace", r.StorageNamespace},
		row{"Default branch", r.DefaultBranch}, row{"Created", instant(r.CreationDate)})
}
