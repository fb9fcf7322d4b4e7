package ctl

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	from, since string
	names       int
}

func verifyCommand(a *app) *cobra.Command {
	var flags verifyFlags
	cmd := &cobra.Command{
		Use:   "verify lakefs://repository/ref[/path] [--from URI]",
		Short: "Verify the metadata files of a commit, or compare it with a source",
		Long: `Reads all metadata files of the commit that a ref points at: the metarange and its
ranges. The coordinator compares each file with its ID, a hash of its content, and with
what the metarange says about the range: first and last key, count and estimated size. It
checks that keys are in order, and that each record is an entry. The imported objects
themselves are not read. Each range with a fault is printed.

With --from it compares instead: the coordinator walks the source by continuation tokens,
and compares each object with the entry under the path, as an import of the source would
have made it. Keys can be missing in the commit, extra (the source does not have them) or
changed. They are counted, and the first are printed.

A source that is written to differs from the commit. Objects that were written since a
time, by the clock of the store, are counted apart: since the comparison began, or --since,
such as the start of the import in rangectl imports. An object that was deleted in the
meantime looks extra: nothing tells when that was. The source must be one that the
coordinator may import (sources.allow).

Exit codes: 0 if all is right and equal, 5 if there is a fault or a difference, 1 if that
could not be found out. Objects that were written since are no difference.`,
		Example: `  rangectl verify lakefs://demo/main
  rangectl verify lakefs://demo/main/raw/ --from s3://lake/raw/ --since 2026-01-31T12:00:00Z`,
	}
	parse := func(uri string) (place, error) {
		p, err := at(uri)
		if err == nil && p.path != "" && flags.from == "" {
			err = usage("%q: only a comparison (--from) takes a path", uri)
		}
		return p, err
	}
	cmd.RunE = call(a, parse, func(ctx context.Context, c *client.Client, p place) error {
		m, err := newMeter(a)
		if err != nil {
			return err
		}
		commit, err := c.Commit(ctx, p.repository, p.ref)
		if err != nil {
			return err
		}
		if flags.from != "" {
			return compare(ctx, m, c, p, commit.MetaRangeID, flags)
		}
		return verify(ctx, m, c, p, commit.MetaRangeID)
	})
	cmd.PreRunE = func(*cobra.Command, []string) error { return flags.check() }
	cmd.Flags().StringVar(&flags.from, "from", "", "`URI` of a source to compare with: s3://bucket/prefix or local:///directory/")
	cmd.Flags().StringVar(&flags.since, "since", "", "`time`, such as 2026-01-31T12:00:00Z: objects that were written then or later are counted apart")
	cmd.Flags().IntVar(&flags.names, "names", 20, "print at most this `number` of differences")
	addProgress(cmd, a)
	return cmd
}

func (f verifyFlags) check() error {
	if f.from == "" && f.since != "" {
		return usage("--since needs --from")
	}
	if f.from == "" {
		return nil
	}
	if _, err := objectstore.ParseURI(f.from); err != nil {
		return advise(usage("--from: %w", err), sourceHint(f.from))
	}
	_, err := f.sinceTime()
	return err
}

// sinceTime returns --since in Unix seconds, 0 if it is not set.
func (f verifyFlags) sinceTime() (int64, error) {
	if f.since == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339, f.since)
	if err != nil {
		return 0, usage("--since %q: want a time such as 2026-01-31T12:00:00Z", f.since)
	}
	return t.Unix(), nil
}

// verification is what was verified of a tree, as a result.
type verification struct {
	MetarangeID string `json:"metarange_id"`
	Ranges      int64  `json:"ranges"`
	Objects     int64  `json:"objects"`
	Faults      int64  `json:"faults"`

	ElapsedSeconds float64 `json:"elapsed_seconds,omitempty"` // of progress
}

// verify verifies a tree, and shows each range with a fault.
func verify(ctx context.Context, m *meter, c *client.Client, p place, metarange string) error {
	v := verification{MetarangeID: metarange}
	if metarange != "" { // else the tree is empty, and has no files
		if err := v.ranges(ctx, m, c, p); err != nil {
			return err
		}
	}
	m.clear()
	if err := show(m.app, kindSummary, v, verificationSheet(p)); err != nil {
		return err
	}
	if v.Faults > 0 {
		return &failure{code: Wrong, err: fmt.Errorf("%s: %s of %d cannot be trusted", p, counted(v.Faults, "range"), v.Ranges)}
	}
	return nil
}

func (v *verification) ranges(ctx context.Context, m *meter, c *client.Client, p place) error {
	for r, err := range c.Verify(ctx, p.repository, v.MetarangeID, client.Page{}) {
		if err != nil {
			m.clear()
			return err
		}
		v.Ranges++
		v.Objects += r.Count
		m.show(v.progress(m.elapsed()))
		if r.Fault == "" {
			continue
		}
		v.Faults++
		m.clear()
		if err := show(m.app, kindRange, r, faultyRange); err != nil {
			return err
		}
	}
	return nil
}

// progress is how far the verification is.
func (v verification) progress(elapsed time.Duration) look {
	v.ElapsedSeconds = rounded(elapsed)
	return look{line: v, parts: []string{
		"verifying for " + lasting(elapsed), counted(v.Ranges, "range"), short(v.Objects) + " " + plural(v.Objects, "object"), counted(v.Faults, "fault"),
	}}
}

func verificationSheet(p place) func(io.Writer, verification) error {
	return func(w io.Writer, v verification) error {
		return sheet(w, "Tree of "+p.String(), row{"Metarange ID", v.MetarangeID}, row{"Ranges", grouped(v.Ranges)},
			row{"Objects", grouped(v.Objects)}, row{"Faults", grouped(v.Faults)})
	}
}

func faultyRange(w io.Writer, r api.VerifiedRange) error {
	return sheet(w, "Range "+r.ID, row{"Fault", r.Fault}, row{"First key", r.MinKey}, row{"Last key", r.MaxKey}, row{"Objects", grouped(r.Count)})
}

// comparison is how a tree compares with a source, as a result.
type comparison struct {
	Source      string  `json:"source"`
	MetarangeID string  `json:"metarange_id"`
	Since       seconds `json:"since,omitzero"`
	Equal       int64   `json:"equal"`
	Missing     int64   `json:"missing"`
	Extra       int64   `json:"extra"`
	Changed     int64   `json:"changed"`
	Later       int64   `json:"later"`

	ElapsedSeconds float64 `json:"elapsed_seconds,omitempty"` // of progress
}

// differences is the number of those that are not later.
func (c comparison) differences() int64 { return c.Missing + c.Extra + c.Changed }

// compare compares the entries under a place with a source, and shows the first differences.
func compare(ctx context.Context, m *meter, c *client.Client, p place, metarange string, flags verifyFlags) error {
	since, err := flags.sinceTime()
	if err != nil {
		return err
	}
	if metarange == "" {
		return fmt.Errorf("%s: the commit is empty: there is nothing to compare", p.root())
	}
	all := comparison{Source: flags.from, MetarangeID: metarange}
	ask := api.ComparisonCreation{Source: flags.from, Destination: p.path, Since: since, Names: min(flags.names, limits.Results)}
	for more := true; more; more = ask.ContinuationToken != "" {
		part, err := c.Compare(ctx, p.repository, metarange, ask)
		m.clear()
		if err != nil {
			return err
		}
		all.add(part)
		for _, d := range part.Differences {
			if err := show(m.app, kindDifference, d, differenceLine); err != nil {
				return err
			}
		}
		flags.names -= len(part.Differences)
		ask.Names, ask.ContinuationToken = max(0, min(flags.names, limits.Results)), part.ContinuationToken
		m.show(all.progress(m.elapsed()))
	}
	m.clear()
	if err := show(m.app, kindSummary, all, comparisonSheet(p)); err != nil {
		return err
	}
	if n := all.differences(); n > 0 {
		return &failure{code: Wrong, err: fmt.Errorf("%s differs from %s in %s", p, flags.from, counted(n, "key"))}
	}
	return nil
}

// progress is how far the comparison is.
func (c comparison) progress(elapsed time.Duration) look {
	c.ElapsedSeconds = rounded(elapsed)
	keys := c.Equal + c.differences() + c.Later
	return look{line: c, parts: []string{
		"comparing for " + lasting(elapsed), short(keys) + " " + plural(keys, "key"), counted(c.differences(), "difference"),
	}}
}

func (c *comparison) add(part api.Comparison) {
	c.Since = seconds(part.Since)
	c.Equal += part.Equal
	c.Missing += part.Missing
	c.Extra += part.Extra
	c.Changed += part.Changed
	c.Later += part.Later
}

func differenceLine(w io.Writer, d api.SourceDifference) error {
	fields := make([]string, len(d.Fields))
	for i, f := range d.Fields {
		fields[i] = string(f)
	}
	when := "-"
	if d.Mtime != 0 {
		when = instant(d.Mtime)
	}
	text := fmt.Sprintf("%-7s  %-20s  %s", d.Kind, when, printable(d.Key))
	if len(fields) > 0 {
		text += "  (" + printable(strings.Join(fields, ", ")) + ")"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func comparisonSheet(p place) func(io.Writer, comparison) error {
	return func(w io.Writer, c comparison) error {
		later := ""
		if c.Later > 0 {
			later = grouped(c.Later) + ", written since " + instant(int64(c.Since))
		}
		return sheet(w, p.String()+" and "+c.Source, row{"Metarange ID", c.MetarangeID}, row{"Equal", grouped(c.Equal)},
			row{"Missing", grouped(c.Missing)}, row{"Extra", grouped(c.Extra)}, row{"Changed", grouped(c.Changed)}, row{"Later", cmp.Or(later, "0")})
	}
}
