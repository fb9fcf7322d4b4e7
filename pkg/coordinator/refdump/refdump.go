// Package refdump writes the branches, tags and commits of repositories to their storage
// namespaces, in the form from which a lakeFS server restores them.
package refdump

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Config is what a dumper works with. All fields are required.
type Config struct {
	Catalog *catalog.Catalog
	Stores  objectstore.Opener
	Log     *slog.Logger
}

// Dumper dumps the refs of repositories. Its methods may be called concurrently, by any number
// of processes.
type Dumper struct{ cfg Config }

// New returns a dumper.
func New(cfg Config) *Dumper { return &Dumper{cfg} }

// Dump is the IDs of the metaranges that hold the refs of a repository. Its JSON is the
// manifest of lakeFS.
type Dump struct {
	Branches string `json:"branches_meta_range_id"`
	Tags     string `json:"tags_meta_range_id"`
	Commits  string `json:"commits_meta_range_id"`
}

// Dump stores the refs of a repository, and last a manifest that names them, and replaces the
// manifest of an earlier dump. The dump of a repository that has not changed is the same. Of
// what changes meanwhile, each change is in the dump or not; the commits of all its branches
// and tags are. If a record cannot be decoded, it is a Broken fault, as nothing may be left out.
func (d *Dumper) Dump(ctx context.Context, repository string) (Dump, error) {
	all, err := catalog.ContentsOf(ctx, d.cfg.Catalog, repository)
	if err != nil {
		return Dump{}, err
	}
	files, err := namespace.Open(ctx, d.cfg.Stores, all.Repository().StorageNamespace)
	if err != nil {
		return Dump{}, err
	}
	dump, err := write(ctx, files, all)
	if err != nil {
		return Dump{}, fmt.Errorf("dump the refs of repository %q: %w", repository, err)
	}
	d.cfg.Log.InfoContext(ctx, "refs dumped", "repository", repository, "branches", dump.Branches, "tags", dump.Tags, "commits", dump.Commits)
	return dump, nil
}

// write stores what a repository has, commits last: they are stored before what refers to them.
func write(ctx context.Context, files *namespace.Files, all catalog.Contents) (dump Dump, err error) {
	missing := make(map[string]bool) // IDs of commits of branches and tags
	branch := func(b catalog.Branch) table.Record { missing[b.CommitID] = true; return branchRecord(b) }
	tag := func(t catalog.Tag) table.Record { missing[t.CommitID] = true; return tagRecord(t) }
	commit := func(c catalog.Commit) table.Record { delete(missing, c.ID); return commitRecord(c) }
	if dump.Branches, err = store(ctx, files, convert(all.Branches(ctx), branch)); err != nil {
		return dump, err
	}
	if dump.Tags, err = store(ctx, files, convert(all.Tags(ctx), tag)); err != nil {
		return dump, err
	}
	if dump.Commits, err = store(ctx, files, convert(all.Commits(ctx), commit)); err != nil {
		return dump, err
	}
	if len(missing) > 0 {
		return dump, fmt.Errorf("commits of branches and tags are not among all commits: %q", slices.Sorted(maps.Keys(missing)))
	}
	manifest, err := json.MarshalIndent(dump, "", "  ")
	if err != nil {
		return dump, err
	}
	return dump, files.PutManifest(ctx, manifest, sha256.Sum256(manifest))
}

// store stores records, and returns the ID of their metarange.
func store(ctx context.Context, files *namespace.Files, records iter.Seq2[table.Record, error]) (string, error) {
	return metarange.WriteRecords(ctx, files, partition.DefaultBreaks, records)
}

// convert yields the record of each value.
func convert[T any](values iter.Seq2[T, error], record func(T) table.Record) iter.Seq2[table.Record, error] {
	return func(yield func(table.Record, error) bool) {
		for v, err := range values {
			if err != nil {
				yield(table.Record{}, err)
				return
			}
			if !yield(record(v), nil) {
				return
			}
		}
	}
}
