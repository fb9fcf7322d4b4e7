package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// onEach runs a test on an empty bucket of every implementation.
func onEach(t *testing.T, test func(t *testing.T, c *Catalog)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, New(&kvtest.Memory{})) })
	t.Run("jetstream", func(t *testing.T) { test(t, New(queuetest.Start(t).Bucket(kv.BucketCatalog))) })
}

func create(t *testing.T, c *Catalog, id string) Repository {
	t.Helper()
	r, err := c.CreateRepository(t.Context(), Repository{ID: id, StorageNamespace: "s3://bucket/" + id + "/", DefaultBranch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantFault(t *testing.T, what string, err error, kind fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%s: %v, want a fault of kind %d with %q", what, err, kind, text)
	}
}

func TestListsArePaged(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		for _, id := range []string{"repo", "repo-b", "other", "repo2"} {
			create(t, c, id)
		}
		for _, name := range []string{"b", "a1", "a", "A", "_", "a-1"} {
			if _, err := c.Branches().Create(ctx, "repo", name, "main"); err != nil {
				t.Fatal(err)
			}
		}
		search := func(part string) func(prefix, after string, amount int) ([]string, bool, error) {
			return func(prefix, after string, amount int) ([]string, bool, error) {
				page, more, err := c.Repositories(ctx, RepositoryQuery{Prefix: prefix, Search: part, After: after, Amount: amount})
				return names(page, func(r Repository) string { return r.ID }), more, err
			}
		}
		repositories := search("")
		branches := func(prefix, after string, amount int) ([]string, bool, error) {
			page, more, err := c.Branches().List(ctx, "repo", prefix, after, amount)
			return names(page, func(b Branch) string { return b.Name }), more, err
		}
		for _, tc := range []struct {
			list          func(prefix, after string, amount int) ([]string, bool, error)
			prefix, after string
			amount        int
			want          string
			more          bool
		}{
			{repositories, "", "", 10, "other repo repo-b repo2", false},
			{repositories, "", "", 4, "other repo repo-b repo2", false},
			{repositories, "", "", 3, "other repo repo-b", true},
			{repositories, "", "repo-b", 3, "repo2", false},
			{repositories, "repo", "", 1, "repo", true},
			{repositories, "repo", "repo", 1, "repo-b", true},
			{repositories, "repo", "repo1", 1, "repo2", false},
			{repositories, "*", "", 10, "", false},
			{repositories, "repo.", "", 10, "", false},
			{search("o"), "", "", 2, "other repo", true},
			{search("-b"), "", "", 1, "repo-b", false},
			{search("po2"), "repo", "repo-b", 1, "repo2", false},
			{search("O"), "", "", 10, "", false},
			{branches, "", "", 100, "A _ a a-1 a1 b main", false},
			{branches, "a", "", 2, "a a-1", true},
			{branches, "a", "a-1", 2, "a1", false},
			{branches, "", "main", 2, "", false},
		} {
			got, more, err := tc.list(tc.prefix, tc.after, tc.amount)
			if err != nil || strings.Join(got, " ") != tc.want || more != tc.more {
				t.Errorf("list(%q, %q, %d) = %q, %v, %v, want %q, %v", tc.prefix, tc.after, tc.amount, got, more, err, tc.want, tc.more)
			}
		}
		for _, amount := range []int{0, -1} {
			_, _, err := repositories("", "", amount)
			wantFault(t, "amount", err, fault.Invalid, "amount")
			_, err = c.Log(ctx, "repo", LogQuery{Ref: "main", Amount: amount})
			wantFault(t, "amount", err, fault.Invalid, "amount")
		}
	})
}

func names[T any](page []T, name func(T) string) (out []string) {
	for _, v := range page {
		out = append(out, name(v))
	}
	return out
}

func TestMissingThingsAreNamed(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		id := strings.Repeat("a", 64)
		for what, tc := range map[string]struct {
			err  func(repository string) error
			part string
		}{
			"Branch":       {func(r string) error { _, err := c.Branch(ctx, r, "none"); return err }, "branch not found"},
			"bad branch":   {func(r string) error { _, err := c.Branch(ctx, r, "a.b"); return err }, "branch not found"},
			"Commit":       {func(r string) error { _, err := c.Commit(ctx, r, id); return err }, "commit not found"},
			"bad commit":   {func(r string) error { _, err := c.Commit(ctx, r, "x"); return err }, "commit not found"},
			"Resolve":      {func(r string) error { _, err := c.Resolve(ctx, r, id); return err }, "not found"},
			"bad ref":      {func(r string) error { _, err := c.Resolve(ctx, r, "a b"); return err }, `ref "a b" not found`},
			"Log":          {func(r string) error { _, err := c.Log(ctx, r, LogQuery{Ref: "none", Amount: 1}); return err }, `ref "none" not found`},
			"Log after":    {func(r string) error { _, err := c.Log(ctx, r, LogQuery{Ref: "main", After: id, Amount: 1}); return err }, id + `" not found`},
			"Tag":          {func(r string) error { _, err := c.Tags().Get(ctx, r, "v1"); return err }, "tag not found"},
			"bad tag":      {func(r string) error { _, err := c.Tags().Get(ctx, r, "a b"); return err }, "tag not found"},
			"DeleteTag":    {func(r string) error { return c.Tags().Delete(ctx, r, "v1") }, "tag not found"},
			"CreateTag":    {func(r string) error { _, err := c.Tags().Create(ctx, r, "v1", "none"); return err }, `ref "none" not found`},
			"CreateBranch": {func(r string) error { _, err := c.Branches().Create(ctx, r, "new", "none"); return err }, `ref "none" not found`},
			"MoveBranch":   {func(r string) error { return c.MoveBranch(ctx, r, Branch{Name: "main", Revision: 1}, id) }, "commit not found"},
		} {
			wantFault(t, what, tc.err("repo"), fault.NotFound, tc.part)
			for _, repository := range []string{"none", "", "a.b", "repo.main"} {
				wantFault(t, what+" in "+repository, tc.err(repository), fault.NotFound, "repository not found")
			}
		}
		_, err := c.Repository(ctx, "none")
		wantFault(t, "Repository", err, fault.NotFound, "repository not found")
		_, _, err = c.Branches().List(ctx, "none", "", "", 1)
		wantFault(t, "Branches", err, fault.NotFound, "repository not found")
		wantFault(t, "SetMetadata", c.SetMetadata(ctx, "none", nil), fault.NotFound, "repository not found")
	})
}
