package ctl

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func lsCommand(a *app) *cobra.Command {
	var page client.Page
	var recursive bool
	cmd := &cobra.Command{
		Use:   "ls lakefs://repository/ref[/prefix]",
		Short: "List objects: size, time, path",
		Long: `Lists the objects whose paths start with the prefix, in bytewise order. Without
--recursive, objects that share a path up to the next '/' are shown as one line.`,
		Example: `  rangectl ls lakefs://demo/main/raw/`,
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "list every object")
	return lists(a, cmd, kindObject, &page, at, func(ctx context.Context, c *client.Client, p place) iter.Seq2[api.ObjectStats, error] {
		if page.Prefix = p.path; !recursive {
			page.Delimiter = "/"
		}
		return c.Objects(ctx, p.repository, p.ref, page)
	}, objectLine)
}

func objectLine(w io.Writer, o api.ObjectStats) error {
	size, when := sized(o.SizeBytes), instant(o.Mtime)
	if o.PathType == api.ObjectStatsPathTypeCommonPrefix {
		size, when = "prefix", ""
	}
	_, err := fmt.Fprintf(w, "%9s  %20s  %s\n", size, when, printable(o.Path))
	return err
}

func statCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "stat lakefs://repository/ref/path",
		Short: "Show one object",
		RunE: get(a, kindObject, atPath, func(ctx context.Context, c *client.Client, p place) (api.ObjectStats, error) {
			return c.Object(ctx, p.repository, p.ref, p.path)
		}, objectSheet),
	}
}

func objectSheet(w io.Writer, o api.ObjectStats) error {
	return sheet(w, o.Path, row{"Address", o.PhysicalAddress}, row{"Size", exactly(o.SizeBytes)},
		row{"ETag", o.Checksum}, row{"Modified", instant(o.Mtime)})
}

func logCommand(a *app) *cobra.Command {
	var page client.Page
	return lists(a, &cobra.Command{
		Use:   "log lakefs://repository/ref",
		Short: "List commits, newest first",
	}, kindCommit, &page, atRef, func(ctx context.Context, c *client.Client, p place) iter.Seq2[api.Commit, error] {
		return c.Log(ctx, p.repository, p.ref, page)
	}, commitSheet)
}

func commitSheet(w io.Writer, c api.Commit) error {
	rows := []row{
		{"Committer", c.Committer},
		{"Created", instant(c.CreationDate)},
		{"Message", c.Message},
		{"Metarange ID", c.MetaRangeID},
		{"Parents", strings.Join(c.Parents, ", ")},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
		rows = append(rows, row{name, c.Metadata[name]})
	}
	return sheet(w, "Commit "+c.ID, rows...)
}
