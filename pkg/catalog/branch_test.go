package catalog

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

func TestABranchMovesWithoutTheOthers(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		if _, err := c.CreateBranch(ctx, "repo", "side", one.ID); err != nil {
			t.Fatal(err)
		}
		_, err := c.CreateBranch(ctx, "repo", "side", "main")
		wantFault(t, "again", err, fault.Conflict, `branch "side" exists already`)
		_, err = c.CreateBranch(ctx, "repo", "a/b", "main")
		wantFault(t, "bad name", err, fault.Invalid, "name")
		_, err = c.CreateBranch(ctx, "repo", strings.Repeat("a", 256), "main")
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
