package ctl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func importsCommand(a *app) *cobra.Command {
	var page client.Page
	var phases []string
	cmd := &cobra.Command{
		Use:   "imports [lakefs://repository]",
		Short: "List running and recent imports, newest first: start, phase, objects, ID, branch, source",
		Long: `Lists the imports that are running, and those that ended within the last day, newest
first: into all repositories, or into one. The number of objects is known once an import
has ended; rangectl status shows that of a running one. A line below an import says why it
failed, or what keeps it from making progress.`,
		Example: `  rangectl imports --phase running --phase committing
  rangectl imports lakefs://demo --amount 10`,
	}
	into := func(uri string) (client.Page, error) {
		selected := page
		for _, text := range phases {
			phase := api.ImportPhase(text)
			if !phase.Valid() {
				return selected, usage("--phase %q: want running, committing, completed, failed, canceled or previewed", text)
			}
			selected.Phases = append(selected.Phases, phase)
		}
		if uri == "" {
			return selected, nil
		}
		p, err := inRepository(uri)
		selected.Repository = p.repository
		return selected, err
	}
	lists(a, cmd, kindImport, &page, into, func(ctx context.Context, c *client.Client, selected client.Page) iter.Seq2[api.Import, error] {
		return importsInto(ctx, a, c, selected)
	}, importLines)
	cmd.Flags().StringArrayVar(&phases, "phase", nil, "show only imports in this `phase`: running, committing, completed, failed, canceled or previewed; may be repeated")
	completeWords(cmd, "phase", "running", "committing", "completed", "failed", "canceled", "previewed")
	cmd.Flags().Lookup("after").Usage = "show only what is older than the import with this `ID`"
	return cmd
}

// importsInto lists imports. That there are none in a repository is an error if there is no such
// repository.
func importsInto(ctx context.Context, a *app, c *client.Client, selected client.Page) iter.Seq2[api.Import, error] {
	return func(yield func(api.Import, error) bool) {
		some := false
		for i, err := range c.Imports(ctx, selected) {
			if some = true; !yield(i, err) {
				return
			}
		}
		if some || selected.Repository == "" {
			return
		}
		if _, err := c.Repository(ctx, selected.Repository); answered(err, http.StatusNotFound) {
			yield(api.Import{}, advise(err, instead(ctx, a, place{repository: selected.Repository})))
		}
	}
}

func importLines(w io.Writer, i api.Import) error {
	objects := grouped(i.IngestedObjects)
	if i.Phase == api.Running || i.Phase == api.Committing {
		objects = "-"
	}
	from := i.Source
	if i.Sources > 1 {
		from += " and " + grouped(int64(i.Sources-1)) + " more"
	}
	to := place{repository: i.Repository, ref: i.Branch}.String()
	text := fmt.Sprintf("%s  %-10s  %15s  %s  %s  %s\n", i.CreationDate.UTC().Format(time.RFC3339), printable(string(i.Phase)),
		objects, printable(i.ID), printable(to), printable(from))
	if because := cmp.Or(why(i.Error), i.Problem); because != "" {
		text += "    " + printable(because) + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
