package ctl

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// addPage adds the flags that every list has.
func addPage(cmd *cobra.Command, page *client.Page) {
	cmd.Flags().StringVar(&page.After, "after", "", "show only what follows this `name`")
	cmd.Flags().IntVar(&page.Amount, "amount", 0, "show at most so `many`; 0: all")
}

// list shows the results of a list one by one, as they come.
func list[T any](a *app, all iter.Seq2[T, error], text func(io.Writer, T) error) error {
	for result, err := range all {
		if err != nil {
			return err
		}
		if err := a.show(result, func(w io.Writer) error { return text(w, result) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) lsCommand() *cobra.Command {
	var page client.Page
	var recursive bool
	cmd := &cobra.Command{
		Use:   "ls lakefs://repository/ref[/prefix]",
		Short: "List objects: size, time, path",
		Long: `Lists the objects whose paths start with the prefix, in bytewise order. Without
--recursive, those that share a path up to the next '/' are shown as one.`,
		Example: `  rangectl ls lakefs://demo/main/raw/`,
		Args:    cobra.ExactArgs(1),
		RunE: about(a, at, func(ctx context.Context, c *client.Client, p place) error {
			if page.Prefix = p.path; !recursive {
				page.Delimiter = "/"
			}
			return list(a, c.Objects(ctx, p.repository, p.ref, page), objectLine)
		}),
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "list every object")
	addPage(cmd, &page)
	return cmd
}

func objectLine(w io.Writer, o api.ObjectStats) error {
	size, when := fmt.Sprint(o.SizeBytes), instant(o.Mtime)
	if o.PathType == api.ObjectStatsPathTypeCommonPrefix {
		size, when = "prefix", ""
	}
	_, err := fmt.Fprintf(w, "%15s  %20s  %s\n", size, when, printable(o.Path))
	return err
}

func (a *app) statCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stat lakefs://repository/ref/path",
		Short: "Show one object",
		Args:  cobra.ExactArgs(1),
		RunE: about(a, atPath, func(ctx context.Context, c *client.Client, p place) error {
			o, err := c.Object(ctx, p.repository, p.ref, p.path)
			if err != nil {
				return err
			}
			return a.show(o, func(w io.Writer) error {
				return sheet(w, o.Path, row{"Address", o.PhysicalAddress}, row{"Size", grouped(o.SizeBytes) + " bytes"},
					row{"ETag", o.Checksum}, row{"Modified", instant(o.Mtime)})
			})
		}),
	}
}

func (a *app) logCommand() *cobra.Command {
	var page client.Page
	cmd := &cobra.Command{
		Use:   "log lakefs://repository/ref",
		Short: "List commits, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: about(a, atRef, func(ctx context.Context, c *client.Client, p place) error {
			return list(a, c.Log(ctx, p.repository, p.ref, page), commitSheet)
		}),
	}
	addPage(cmd, &page)
	return cmd
}

func commitSheet(w io.Writer, c api.Commit) error {
	rows := []row{
		{"Committer", c.Committer},
		{"Created", instant(c.CreationDate)},
		{"Message", c.Message},
		{"Metarange ID", c.MetaRangeID},
		{"Parents", strings.Join(c.Parents, ", ")},
	}
	for _, name := range sorted(c.Metadata) {
		rows = append(rows, row{name, c.Metadata[name]})
	}
	return sheet(w, "Commit "+c.ID, rows...)
}
