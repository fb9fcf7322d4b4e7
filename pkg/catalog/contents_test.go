package catalog

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// collect returns what a sequence yields, by names, and the error that ends it.
func collect[T any](all iter.Seq2[T, error], name func(T) string) (names []string, err error) {
	for v, err := range all {
		if err != nil {
			return names, err
		}
		names = append(names, name(v))
	}
	return names, nil
}

func TestContents(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		create(t, c, "repo-b")
		first, err := c.Resolve(ctx, "repo", "main")
		expect.NoError(t, err)
		want := []string{first.ID}
		for i := range 20 {
			commit, err := c.AddCommit(ctx, "repo", Commit{Message: fmt.Sprint(i), Parents: []string{first.ID}, Generation: 2})
			expect.NoError(t, err)
			want = append(want, commit.ID)
		}
		for _, name := range []string{"b-1", "B", "_"} {
			_, err = c.Branches().CreateHidden(ctx, "repo", name, first.ID)
			expect.NoError(t, err)
		}
		for _, name := range []string{"v2", "v1.0", "größer"} {
			_, err = c.Tags().Create(ctx, "repo", name, want[1])
			expect.NoError(t, err)
		}
		all, err := ContentsOf(ctx, c, "repo")
		expect.NoError(t, err)
		branches, err := collect(all.Branches(ctx), func(b Branch) string { return b.Name })
		expect.NoError(t, err)
		tags, err := collect(all.Tags(ctx), func(t Tag) string { return t.Name + " " + t.CommitID })
		expect.NoError(t, err)
		commits, err := collect(all.Commits(ctx), func(c Commit) string { return c.ID })
		expect.NoError(t, err)
		slices.Sort(want)
		if strings.Join(branches, " ") != "B _ b-1 main" || len(tags) != 3 || !slices.IsSorted(tags) || !slices.Equal(commits, want) {
			t.Errorf("branches %q, tags %q, commits %q, want %q", branches, tags, commits, want)
		}
		if got := all.Repository(); got.ID != "repo" || got.StorageNamespace != "s3://bucket/repo" {
			t.Errorf("repository %+v", got)
		}
		_, err = ContentsOf(ctx, c, "none")
		wantFault(t, "no repository", err, fault.NotFound, "repository not found")
	})
}

// A copy of a repository must not lack a branch because its record is broken.
func TestContentsWithABrokenRecord(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		r := create(t, c, "repo")
		_, err := c.records.bucket.Create(ctx, branchKey(r.root(), "bad"), []byte("x"))
		expect.NoError(t, err)
		all, err := ContentsOf(ctx, c, "repo")
		expect.NoError(t, err)
		names, err := collect(all.Branches(ctx), func(b Branch) string { return b.Name })
		wantFault(t, fmt.Sprint(names), err, fault.Broken, "bad")
	})
}
