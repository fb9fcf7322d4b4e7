package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/settings"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// inspectFlags are the flags of inspect.
type inspectFlags struct {
	id, from string
	entries  int
	verify   bool
}

func inspectCommand(a *app) *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect FILE|s3://bucket/key|lakefs://repository/ref",
		Short: "Show what a range or metarange file holds",
		Long: `Shows what a range or metarange file says of itself: which of both it is, how many records
it has, and the keys of the first and the last one. The records of a range are objects, and
those of a metarange are ranges, each with the last key of that range. With --entries it
shows records; those of ranges with ID, count, estimated size, first and last key. With
--verify it reads the whole file, and compares it with its ID, a hash of its
content, which is its name unless --id names it.

A local file is read here, without a coordinator. So are files in a store: with the access
to S3 that RANGEFLEET_S3_... variables, or the file that --config names, give to a process.
With lakefs:// the coordinator, or a lakeFS server, says what the metarange of the ref is,
and where; --id then names a range instead.

Nothing in a file is believed: each length and offset is checked. An error names the file
and, for a block, its offset. The exit code is 5 if the file is damaged, and 1 if it cannot
be read.`,
		Example: `  rangectl inspect ./5b3fe2c1... --entries 10
  rangectl inspect lakefs://demo/main --entries 100 --from raw/2026/ -o json`,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return run(func(ctx context.Context, args []string) error {
			file, err := f.open(ctx, a, cmd.Flags(), args[0])
			if err != nil {
				return err
			}
			defer file.close()
			err = f.show(ctx, a, file)
			if errors.Is(err, table.ErrCorrupt) {
				return &failure{code: Wrong, err: err}
			}
			return err
		})(cmd, args)
	}
	cmd.Flags().IntVar(&f.entries, "entries", 0, "show this `number` of records")
	cmd.Flags().StringVar(&f.from, "from", "", "begin with the records at or after this `key`")
	cmd.Flags().StringVar(&f.id, "id", "", "`ID` of the file; with lakefs://, of a range or metarange of the repository")
	cmd.Flags().BoolVar(&f.verify, "verify", false, "read the whole file, and compare it with its ID")
	cmd.Flags().String("config", "", "YAML `file` of settings, for access to the store (environment RANGEFLEET_CONFIG)")
	return cmd
}

// inspected is a file that is inspected.
type inspected struct {
	name  string
	id    string // "" if it is not known
	base  string // precedes relative addresses
	parts metarange.Parts
	close func()
}

var validID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// open opens what the argument names.
func (f inspectFlags) open(ctx context.Context, a *app, flags *pflag.FlagSet, arg string) (inspected, error) {
	if f.id != "" && !validID.MatchString(f.id) {
		return inspected{}, usage("--id %q: want 64 hex digits", f.id)
	}
	in := inspected{name: arg, id: f.id, close: func() {}}
	if name := path.Base(arg); in.id == "" && validID.MatchString(name) {
		in.id = name
	}
	switch scheme, _, isURI := strings.Cut(arg, "://"); {
	case isURI && scheme == "lakefs":
		return f.openRef(ctx, a, flags, arg)
	case isURI:
		return in, in.openObject(ctx, a, flags)
	}
	return in, in.openLocal()
}

func (in *inspected) openLocal() error {
	file, err := os.Open(in.name)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", in.name)
	}
	if err != nil {
		file.Close()
		return err
	}
	in.close = func() { file.Close() }
	in.parts = parts(func(_ context.Context, offset, n int64) ([]byte, int64, error) {
		part := make([]byte, max(0, min(n, info.Size()-offset)))
		_, err := file.ReadAt(part, offset)
		return part, info.Size(), err
	})
	return nil
}

// parts is a file whose parts are read by a function.
type parts func(ctx context.Context, offset, n int64) ([]byte, int64, error)

// GetRange implements metarange.Parts.
func (p parts) GetRange(ctx context.Context, _ string, offset, n int64) ([]byte, int64, error) {
	return p(ctx, offset, n)
}

func (in *inspected) openObject(ctx context.Context, a *app, flags *pflag.FlagSet) error {
	uri, err := objectstore.ParseURI(in.name)
	if err != nil {
		return usage("%w", err)
	}
	opener, err := openStores(a, flags)
	if err != nil {
		return err
	}
	store, err := opener.Open(ctx, uri)
	if err != nil {
		return err
	}
	in.parts = parts(func(ctx context.Context, offset, n int64) ([]byte, int64, error) {
		return store.GetRange(ctx, uri.Key, offset, n)
	})
	return nil
}

// openStores opens stores with the settings of a process.
func openStores(a *app, flags *pflag.FlagSet) (*stores.Stores, error) {
	s, err := settings.Load(settings.Coordinator, flags, a.sys.Environ())
	if err != nil {
		return nil, &failure{code: Usage, err: err}
	}
	return stores.New(connect.Stores(s), nil, slog.New(slog.DiscardHandler))
}

// openRef opens the metarange of a ref, or the file that --id names.
func (f inspectFlags) openRef(ctx context.Context, a *app, flags *pflag.FlagSet, arg string) (in inspected, err error) {
	p, err := atRef(arg)
	if err != nil {
		return in, err
	}
	c, err := a.client(client.Config{})
	if err != nil {
		return in, err
	}
	repository, err := c.Repository(ctx, p.repository)
	if err != nil {
		return in, a.missing(ctx, p, arg, err)
	}
	in.id = f.id
	if in.id == "" {
		commit, err := c.Commit(ctx, p.repository, p.ref)
		if err != nil {
			return in, a.missing(ctx, p, arg, err)
		}
		if commit.MetaRangeID == "" {
			return in, fmt.Errorf("%s: the commit is empty: it has no metarange", p)
		}
		in.id = commit.MetaRangeID
	}
	opener, err := openStores(a, flags)
	if err != nil {
		return in, err
	}
	files, err := namespace.Open(ctx, opener, repository.StorageNamespace)
	if err != nil {
		return in, advise(err, "rangectl reads the file itself: --config or RANGEFLEET_CONFIG name settings that reach the store from here")
	}
	in.name, in.parts, in.close = p.String()+" "+in.id, files, func() {}
	in.base = strings.TrimSuffix(repository.StorageNamespace, "/") + "/"
	return in, nil
}

// described is what a file says of itself, as a result.
type described struct {
	File          string `json:"file"`
	Kind          string `json:"kind"`
	ID            string `json:"id,omitempty"`
	Verified      bool   `json:"verified"`
	SizeBytes     int64  `json:"size_bytes"`
	Count         int64  `json:"count"`
	MinKey        string `json:"min_key"`
	MaxKey        string `json:"max_key"`
	EstimatedSize uint64 `json:"estimated_size"`
}

// show shows what a file says of itself, and records.
func (f inspectFlags) show(ctx context.Context, a *app, in inspected) error {
	named := func(err error) error { return fmt.Errorf("%s: %w", in.name, err) }
	file, err := metarange.Windows(in.parts).Open(ctx, in.id)
	if err != nil {
		return named(err)
	}
	r, err := table.Open(ctx, file)
	if err != nil {
		return named(err)
	}
	if f.verify {
		if in.id == "" {
			return usage("%s: its name is no ID: --verify needs --id", in.name)
		}
		if err := r.Verify(ctx, in.id); err != nil {
			return named(err)
		}
	}
	p := r.Properties()
	d := described{
		File: in.name, Kind: string(r.Kind()), ID: in.id, Verified: f.verify, SizeBytes: r.Size(),
		Count: p.Count, MinKey: p.MinKey, MaxKey: p.MaxKey, EstimatedSize: p.EstimatedSize,
	}
	if err := show(a, kindFile, d, describedSheet); err != nil {
		return err
	}
	if err := f.records(ctx, a, r, in.base); err != nil {
		return named(err)
	}
	return nil
}

func describedSheet(w io.Writer, d described) error {
	id := d.ID
	switch {
	case d.Verified:
		id += ", as its content"
	case id != "":
		id += ", not verified"
	}
	return sheet(w, d.File, row{"File of a", strings.TrimSuffix(d.Kind, "s")}, row{"ID", id}, row{"Size", exactly(d.SizeBytes)}, row{"Count", grouped(d.Count)},
		row{"First record", d.MinKey}, row{"Last record", d.MaxKey}, row{"Estimated size", exactly(int64(min(d.EstimatedSize, math.MaxInt64)))})
}

// records shows the first records from a key on.
func (f inspectFlags) records(ctx context.Context, a *app, r *table.Reader, base string) error {
	left := f.entries
	if left == 0 {
		return nil
	}
	for rec, err := range r.From(ctx, f.from) {
		if err != nil {
			return err
		}
		if r.Kind() == table.Ranges {
			err = showEntry(a, rec, base)
		} else {
			err = showRange(a, rec)
		}
		if left--; err != nil || left == 0 {
			return err
		}
	}
	return nil
}

// entryRecord and rangeRecord are records, as results.
type entryRecord struct {
	Key       string  `json:"key"`
	Address   string  `json:"physical_address"`
	SizeBytes int64   `json:"size_bytes"`
	Checksum  string  `json:"checksum"`
	Mtime     seconds `json:"mtime,omitzero"`
}

type rangeRecord struct {
	ID            string `json:"id"`
	MinKey        string `json:"min_key"`
	MaxKey        string `json:"max_key"`
	Count         int64  `json:"count"`
	EstimatedSize uint64 `json:"estimated_size"`
}

func showEntry(a *app, rec table.Record, base string) error {
	e, err := table.DecodeEntry(rec.Key, rec.Value, base)
	if err != nil {
		return err
	}
	return show(a, kindObject, entryRecord{e.Key, e.Address, e.Size, e.ETag, seconds(e.ModTime.Unix())}, func(w io.Writer, r entryRecord) error {
		_, err := fmt.Fprintf(w, "%9s  %s  %s  %s\n", sized(r.SizeBytes), e.ModTime.Format(time.RFC3339), printable(r.Key), printable(r.Address))
		return err
	})
}

func showRange(a *app, rec table.Record) error {
	m, err := table.DecodeRange(rec.Value)
	if err != nil {
		return err
	}
	return show(a, kindRange, rangeRecord{m.ID, m.MinKey, m.MaxKey, m.Count, m.EstimatedSize}, func(w io.Writer, r rangeRecord) error {
		_, err := fmt.Fprintf(w, "%s  %11s  %9s  %s  %s\n", printable(r.ID), grouped(r.Count), sized(int64(min(r.EstimatedSize, math.MaxInt64))), printable(r.MinKey), printable(r.MaxKey))
		return err
	})
}
