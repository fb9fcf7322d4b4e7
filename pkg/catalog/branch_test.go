package catalog

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestABranchMovesWithoutTheOthers(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		if _, err := c.Branches().Create(ctx, "repo", "side", one.ID); err != nil {
			t.Fatal(err)
		}
		_, err := c.Branches().Create(ctx, "repo", "side", "main")
		wantFault(t, "again", err, fault.Conflict, `branch "side" exists already`)
		_, err = c.Branches().Create(ctx, "repo", "a/b", "main")
		wantFault(t, "bad name", err, fault.Invalid, "name")
		_, err = c.Branches().Create(ctx, "repo", strings.Repeat("a", 256), "main")
		wantFault(t, "long name", err, fault.Invalid, "name")
		two := commitOn(t, c, "side", "two")
		for ref, want := range map[string]string{"main": one.ID, "side": two.ID, one.ID: one.ID, two.ID: two.ID} {
			if got, err := c.Resolve(ctx, "repo", ref); err != nil || got.ID != want {
				t.Errorf("Resolve(%s) = %s, %v, want %s", ref, got.ID, err, want)
			}
		}
	})
}

func TestOneOfConcurrentMovesSucceeds(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		head, err := c.Branch(ctx, "repo", "main")
		if err != nil {
			t.Fatal(err)
		}
		won := make(chan string, 8)
		var wg sync.WaitGroup
		for i := range cap(won) {
			wg.Go(func() {
				commit, err := c.AddCommit(ctx, "repo", Commit{Message: fmt.Sprint(i), Parents: []string{head.CommitID}, Generation: 2})
				if err != nil {
					t.Error(err)
					return
				}
				switch err := c.MoveBranch(ctx, "repo", head, commit.ID); {
				case err == nil:
					won <- commit.ID
				case !fault.Is(err, fault.Conflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d moves succeeded, want 1", len(won))
		}
		if now, err := c.Branch(ctx, "repo", "main"); err != nil || now.CommitID != <-won {
			t.Errorf("head %+v, %v", now, err)
		}
	})
}

func TestHiddenBranches(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		if _, err := c.Branches().CreateHidden(ctx, "repo", "hid", "main"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Branches().Create(ctx, "repo", "side", "main"); err != nil {
			t.Fatal(err)
		}
		one := commitOn(t, c, "hid", "one")
		hid, err := c.Branch(ctx, "repo", "hid")
		if err != nil || !hid.Hidden || hid.CommitID != one.ID {
			t.Errorf("moved: %+v, %v", hid, err)
		}
		if err := c.ResetBranch(ctx, "repo", hid, one.Parents[0]); err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			list  func(ctx context.Context, repository, prefix, after string, amount int) ([]Branch, bool, error)
			after string
			want  string
			more  bool
		}{
			{c.Branches().List, "", "main side", false},
			{c.Branches().ListAll, "", "hid main", true},
			{c.Branches().ListAll, "main", "side", false},
		} {
			page, more, err := tc.list(ctx, "repo", "", tc.after, 2)
			if got := strings.Join(names(page, func(b Branch) string { return b.Name }), " "); got != tc.want || more != tc.more || err != nil {
				t.Errorf("after %q: %s, %v, %v, want %s, %v", tc.after, got, more, err, tc.want, tc.more)
			}
		}
		if err := c.DeleteRepository(ctx, "repo"); err != nil {
			t.Fatal(err)
		}
		if rest := keysOf(t, c.records.bucket); len(rest) > 0 {
			t.Errorf("after the deletion there are %q", rest)
		}
	})
}

func TestDeleteBranch(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		side, err := c.Branches().CreateHidden(ctx, "repo", "side", "main")
		if err != nil {
			t.Fatal(err)
		}
		one := commitOn(t, c, "side", "one")
		wantFault(t, "by who has seen the old head", c.Branches().Delete(ctx, "repo", side), fault.Conflict, "by somebody else")
		if side, err = c.Branch(ctx, "repo", "side"); err != nil {
			t.Fatal(err)
		}
		if err := c.Branches().Delete(ctx, "repo", side); err != nil {
			t.Fatal(err)
		}
		_, err = c.Branch(ctx, "repo", "side")
		wantFault(t, "deleted", err, fault.NotFound, "branch not found")
		wantFault(t, "delete again", c.Branches().Delete(ctx, "repo", side), fault.Conflict, "by somebody else")
		wantFault(t, "move", c.MoveBranch(ctx, "repo", side, one.ID), fault.Conflict, "by somebody else")
		wantFault(t, "delete the default branch", c.Branches().Delete(ctx, "repo", headOf(t, c)), fault.Forbidden, "cannot delete repository default branch")
		wantFault(t, "no repository", c.Branches().Delete(ctx, "none", side), fault.NotFound, "repository not found")
		anew, err := c.Branches().Create(ctx, "repo", "side", one.ID) // the commit has stayed
		if err != nil || anew.Hidden {
			t.Errorf("made anew: %+v, %v", anew, err)
		}
		wantFault(t, "delete what came after", c.Branches().Delete(ctx, "repo", side), fault.Conflict, "by somebody else")
	})
}

func TestABranchIsNotNamedAsACommit(t *testing.T) {
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	_, err := c.Branches().Create(t.Context(), "repo", headOf(t, c).CommitID, "main")
	wantFault(t, "the ID of a commit", err, fault.Conflict, "the ID of a commit")
	if _, err := c.Branches().Create(t.Context(), "repo", strings.Repeat("0", 64), "main"); err != nil {
		t.Error(err)
	}
}
