package edit

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// fixture is a repository "repo" in the bucket of that name, and an editor.
type fixture struct {
	*Editor
	t       *testing.T
	catalog *catalog.Catalog
	store   *memstore.Store
	files   *namespace.Files
}

func newFixture(t *testing.T, bucket kv.Bucket) *fixture {
	t.Helper()
	c := catalog.New(bucket)
	_, err := c.CreateRepository(t.Context(), catalog.Repository{ID: "repo", StorageNamespace: "s3://repo/ns", DefaultBranch: "main"})
	expect.NoError(t, err)
	store := &memstore.Store{}
	return &fixture{
		Editor: New(Config{
			Catalog: c, Stores: memstore.Buckets{"repo": store}, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		}),
		t: t, catalog: c, store: store,
		files: namespace.New(store, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "repo", Key: "ns"}),
	}
}

// tree stores the metarange of a tree with the keys.
func (f *fixture) tree(keys ...string) string {
	f.t.Helper()
	var entries []entry.Entry
	for _, k := range keys {
		entries = append(entries, entry.Entry{Key: k, Address: "s3://bucket/" + k})
	}
	ranges, err := rangetest.Ranges(entries, partition.Breaks{MaxSize: 1, Raggedness: 100})
	expect.NoError(f.t, err)
	id, err := metarange.Write(f.t.Context(), f.files, ranges)
	expect.NoError(f.t, err)
	return id
}

func (f *fixture) head(branch string) catalog.Commit {
	f.t.Helper()
	c, err := f.catalog.Resolve(f.t.Context(), "repo", branch)
	expect.NoError(f.t, err)
	return c
}

// commit commits a tree of the keys to a branch.
func (f *fixture) commit(branch string, keys ...string) catalog.Commit {
	f.t.Helper()
	c, err := f.Commit(f.t.Context(), Commit{Repository: "repo", Branch: branch, Tree: f.tree(keys...), Committer: "me", Message: strings.Join(keys, " ")})
	expect.NoError(f.t, err)
	return c
}

func TestCommitsReplaceTheTree(t *testing.T) {
	f := newFixture(t, new(kvtest.Memory))
	first := f.head("main")
	tree := f.tree("a", "b")
	c, err := f.Commit(t.Context(), Commit{
		Repository: "repo", Branch: "main", Tree: tree, Committer: "me", Message: "m", Metadata: map[string]string{"k": "v"},
		Created: time.Unix(9, 5),
	})
	expect.NoError(t, err)
	if c.MetarangeID != tree || c.Committer != "me" || c.Message != "m" || c.Metadata["k"] != "v" || !c.Created.Equal(time.Unix(9, 0)) ||
		!slices.Equal(c.Parents, []string{first.ID}) || c.Generation != first.Generation+1 || f.head("main").ID != c.ID {
		t.Errorf("committed %+v, the head is %+v", c, f.head("main"))
	}
	empty, err := f.Commit(t.Context(), Commit{Repository: "repo", Branch: "main", AllowEmpty: true})
	expect.NoError(t, err)
	if empty.MetarangeID != tree || !empty.Created.Equal(now) || f.head("main").ID != empty.ID || f.head("main~1").ID != c.ID {
		t.Errorf("an empty commit: %+v", empty)
	}
	same, err := f.Commit(t.Context(), Commit{Repository: "repo", Branch: "main", Tree: tree})
	if err != nil || same.Parents[0] != empty.ID {
		t.Errorf("the tree of the head: %+v, %v", same, err)
	}
}

func TestCommitRefuses(t *testing.T) {
	f := newFixture(t, new(kvtest.Memory))
	ranges, err := rangetest.Ranges([]entry.Entry{{Key: "a"}}, partition.Breaks{MaxSize: 1, Raggedness: 100})
	expect.NoError(t, err)
	corrupt := f.tree("damaged")
	data, err := f.files.Get(t.Context(), corrupt)
	expect.NoError(t, err)
	data[len(data)/2] ^= 1
	expect.NoError(t, f.store.Put(t.Context(), "ns/_lakefs/"+corrupt, data, objectstore.Sum{}))
	expect.NoError(t, f.store.Put(t.Context(), "ns/_lakefs/"+ranges[0].ID, []byte("a range, say"), objectstore.Sum{}))
	before := f.head("main")
	for name, tc := range map[string]struct {
		commit Commit
		kind   fault.Kind
		text   string
	}{
		"no changes":       {Commit{}, fault.Invalid, "no changes"},
		"no repository":    {Commit{Repository: "none", AllowEmpty: true}, fault.NotFound, "repository not found"},
		"no branch":        {Commit{Branch: "dev", AllowEmpty: true}, fault.NotFound, "branch not found"},
		"no ID":            {Commit{Tree: "../x"}, fault.Invalid, `source_metarange: "../x" is not the ID of a metarange`},
		"no metarange":     {Commit{Tree: strings.Repeat("0", 64)}, fault.Invalid, "the repository has no such metarange"},
		"not a metarange":  {Commit{Tree: ranges[0].ID}, fault.Invalid, "is not a sound metarange"},
		"damaged":          {Commit{Tree: corrupt}, fault.Invalid, "is not a sound metarange"},
		"a long key":       {Commit{Tree: f.tree(strings.Repeat("k", limits.Key+1))}, fault.Invalid, "a key of 1025 bytes"},
		"a long message":   {Commit{AllowEmpty: true, Message: strings.Repeat("m", limits.Message+1)}, fault.Invalid, "message: 16385 bytes"},
		"much of metadata": {Commit{AllowEmpty: true, Metadata: map[string]string{"k": strings.Repeat("v", limits.Metadata)}}, fault.Invalid, "metadata: 65537 bytes"},
	} {
		if tc.commit.Repository == "" {
			tc.commit.Repository = "repo"
		}
		if tc.commit.Branch == "" {
			tc.commit.Branch = "main"
		}
		if _, err := f.Commit(t.Context(), tc.commit); !fault.Is(err, tc.kind) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%s: %v, want a fault of kind %d with %q", name, err, tc.kind, tc.text)
		}
	}
	if f.head("main").ID != before.ID {
		t.Error("the branch has moved")
	}
}

// No commit that others make meanwhile is lost.
func TestCommitsAreMadeOnTheHead(t *testing.T) {
	for _, moves := range []int64{1, maxTries - 1, maxTries} {
		bucket := &kvtest.Interrupted{Bucket: new(kvtest.Memory), Prefix: "b."}
		f := newFixture(t, bucket)
		other := &fixture{Editor: New(f.cfg), t: t}
		other.cfg.Catalog = catalog.New(bucket.Bucket)
		n := 0
		bucket.Before = func() {
			n++
			_, err := other.Commit(t.Context(), Commit{Repository: "repo", Branch: "main", AllowEmpty: true, Message: fmt.Sprint(n)})
			expect.NoError(t, err)
		}
		bucket.Left.Store(moves)
		tree := f.tree("a")
		c, err := f.Commit(t.Context(), Commit{Repository: "repo", Branch: "main", Tree: tree})
		if moves == maxTries {
			if !fault.Is(err, fault.Conflict) || f.head("main").Message != fmt.Sprint(moves) {
				t.Errorf("after %d moves: %v", moves, err)
			}
			continue
		}
		expect.NoError(t, err)
		if f.head("main").ID != c.ID || f.head("main~1").Message != fmt.Sprint(moves) || c.Generation != int(moves)+2 {
			t.Errorf("after %d moves: %+v", moves, c)
		}
	}
}
