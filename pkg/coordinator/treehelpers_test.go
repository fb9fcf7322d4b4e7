package coordinator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// log returns the commits of main, the newest first.
func (f *fleet) log() []catalog.Commit {
	f.t.Helper()
	page, err := f.catalog.Log(f.t.Context(), "repo", catalog.LogQuery{Ref: "main", Amount: 1000})
	expect.NoError(f.t, err)
	return page.Commits
}

func (f *fleet) files() *namespace.Files {
	return namespace.New(f.buckets["repo"], objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "repo", Key: "ns"})
}

// entries returns the entries on main.
func (f *fleet) entries() []entry.Entry {
	f.t.Helper()
	tree, err := metarange.Open(f.t.Context(), metarange.Windows(f.files()), "", f.log()[0].MetarangeID)
	expect.NoError(f.t, err)
	var all []entry.Entry
	for e, err := range tree.Entries(f.t.Context(), "") {
		expect.NoError(f.t, err)
		all = append(all, e)
	}
	return all
}

// keys returns the keys on main.
func (f *fleet) keys() []string {
	f.t.Helper()
	var keys []string
	for _, e := range f.entries() {
		keys = append(keys, e.Key)
	}
	return keys
}

// metarangeOf returns the ID of the metarange of the entries, made by one writer.
func metarangeOf(t *testing.T, entries []entry.Entry, breaks partition.Breaks) string {
	t.Helper()
	ranges, err := rangetest.Ranges(entries, breaks)
	expect.NoError(t, err)
	scratch := namespace.New(&memstore.Store{}, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "scratch"})
	id, err := metarange.Write(t.Context(), scratch, ranges)
	expect.NoError(t, err)
	return id
}

// expectTree checks that main has the metarange that one writer makes of the entries.
func (f *fleet) expectTree(entries []entry.Entry) {
	f.t.Helper()
	if got, want := f.log()[0].MetarangeID, metarangeOf(f.t, entries, f.config.Breaks); got != want {
		f.t.Errorf("metarange %s, want %s, that of a single writer", got, want)
	}
}

// commit commits a tree of the entries, which are sorted, to main, as another process
// would.
func (f *fleet) commit(entries ...entry.Entry) catalog.Commit {
	f.t.Helper()
	var ranges []partition.RangeMetadata
	w := rangewriter.New(f.t.Context(), f.files(), small, rangewriter.Options{
		Stored: func(r partition.RangeMetadata) error { ranges = append(ranges, r); return nil },
	})
	defer w.Close()
	expect.NoError(f.t, w.Write(entrytest.Batch(entries...)))
	expect.NoError(f.t, w.Flush())
	id, err := metarange.Write(f.t.Context(), f.files(), ranges)
	expect.NoError(f.t, err)
	head, err := f.catalog.Branch(f.t.Context(), "repo", "main")
	expect.NoError(f.t, err)
	parent, err := f.catalog.Commit(f.t.Context(), "repo", head.CommitID)
	expect.NoError(f.t, err)
	c, err := f.catalog.AddCommit(f.t.Context(), "repo", catalog.Commit{
		Committer: "somebody else", Message: fmt.Sprint(rand.Uint64()), MetarangeID: id, Created: time.Now(),
		Parents: []string{head.CommitID}, Generation: parent.Generation + 1,
	})
	expect.NoError(f.t, err)
	expect.NoError(f.t, f.catalog.MoveBranch(f.t.Context(), "repo", head, c.ID))
	return c
}
