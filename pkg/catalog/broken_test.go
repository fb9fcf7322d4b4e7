package catalog

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// spoil stores a value that cannot be decoded.
func spoil(t *testing.T, c *Catalog, key string) {
	t.Helper()
	_, rev, err := c.records.bucket.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.records.bucket.Update(t.Context(), key, []byte("{\"id\":\x00"), rev); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnreadableRecordHidesNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		for _, id := range []string{"before", "repo", "behind"} {
			create(t, c, id)
		}
		spoil(t, c, repositoryKey("repo"))
		page, more, err := c.Repositories(ctx, RepositoryQuery{Amount: 10})
		if err != nil || more || len(page) != 3 || page[2].ID != "repo" || page[2].Problem == "" || page[0].Problem+page[1].Problem != "" {
			t.Errorf("Repositories = %+v, %v, %v, want three, repo with a problem", page, more, err)
		}
		_, err = c.Repository(ctx, "repo")
		wantFault(t, "Repository", err, fault.Broken, "the record r.repo of the bucket catalog")
		_, err = c.Branch(ctx, "repo", "main")
		wantFault(t, "Branch", err, fault.Broken, "r.repo")
		_, err = c.CreateRepository(ctx, Repository{ID: "repo", StorageNamespace: "s3://bucket/x", DefaultBranch: "main"})
		wantFault(t, "made again", err, fault.Broken, "r.repo")
		create(t, c, "other")
		if err := c.DeleteRepository(ctx, "repo"); err != nil {
			t.Errorf("deleted: %v", err)
		}
		create(t, c, "repo")
		wantFresh(t, "made anew", c, "repo")
	})
}

func TestAnUnreadableBranchHidesNoOther(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		r := create(t, c, "repo")
		for _, name := range []string{"a", "z"} {
			if _, err := c.Branches().Create(ctx, "repo", name, "main"); err != nil {
				t.Fatal(err)
			}
		}
		spoil(t, c, branchKey(r.root(), "main"))
		page, more, err := c.Branches().List(ctx, "repo", "", "", 2)
		if err != nil || more || len(page) != 2 || page[0].Name != "a" || page[1].Name != "z" {
			t.Errorf("Branches = %+v, %v, %v, want the two others", page, more, err)
		}
		_, err = c.Branch(ctx, "repo", "main")
		wantFault(t, "Branch", err, fault.Broken, branchKey(r.root(), "main"))
		spoil(t, c, commitKey(r.root(), page[0].CommitID))
		_, err = c.Log(ctx, "repo", LogQuery{Ref: "a", Amount: 10})
		wantFault(t, "Log", err, fault.Broken, page[0].CommitID)
	})
}
