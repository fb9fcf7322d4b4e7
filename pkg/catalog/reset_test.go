package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestResetBranch(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		two := commitOn(t, c, "main", "two")
		head := headOf(t, c)
		if err := c.ResetBranch(ctx, "repo", head, one.ID); err != nil {
			t.Fatal(err)
		}
		back := headOf(t, c)
		if back.CommitID != one.ID || back.Revision <= head.Revision {
			t.Errorf("after the reset: %+v, before: %+v", back, head)
		}
		wantFault(t, "by who has seen the old head", c.ResetBranch(ctx, "repo", head, two.ID), fault.Conflict, "by somebody else")
		wantFault(t, "a move of the old head", c.MoveBranch(ctx, "repo", head, two.ID), fault.Conflict, "by somebody else")
		wantFault(t, "to no commit", c.ResetBranch(ctx, "repo", back, strings.Repeat("0", 64)), fault.NotFound, "commit")
		if err := c.ResetBranch(ctx, "repo", back, two.ID); err != nil { // the commit has stayed
			t.Fatal(err)
		}
		wantDropped(t, c, two.ID, one.ID)
	})
}

// TestAResetRecordsTheHeadBeforeItMoves stops a reset after its first step: the recorded head
// is correct all the same.
func TestAResetRecordsTheHeadBeforeItMoves(t *testing.T) {
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	one := commitOn(t, c, "main", "one")
	old := headOf(t, c)
	two := commitOn(t, c, "main", "two")
	wantFault(t, "reset", c.ResetBranch(t.Context(), "repo", old, two.ID), fault.Conflict, "by somebody else")
	wantDropped(t, c, one.ID)
}

func TestDroppedHeadsAreBounded(t *testing.T) {
	c := New(&kvtest.Memory{})
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c.records.now = func() time.Time { return now }
	create(t, c, "repo")
	one := commitOn(t, c, "main", "one")
	ids := []string{one.ID, one.Parents[0]}
	for i := range maxDropped {
		if err := c.ResetBranch(t.Context(), "repo", headOf(t, c), ids[(i+1)%2]); err != nil {
			t.Fatalf("reset %d: %v", i, err)
		}
	}
	before := headOf(t, c)
	wantFault(t, "one more", c.ResetBranch(t.Context(), "repo", before, ids[1]), fault.Conflict, "1000 times within a week")
	if after := headOf(t, c); after != before {
		t.Errorf("a refused reset moved the branch to %+v", after)
	}
	now = now.Add(keepDropped + time.Second)
	if err := c.ResetBranch(t.Context(), "repo", before, ids[1]); err != nil {
		t.Fatal(err)
	}
	wantDropped(t, c, before.CommitID)
}

func TestADeletedRepositoryLeavesNoDroppedHeads(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		if err := c.ResetBranch(t.Context(), "repo", headOf(t, c), one.Parents[0]); err != nil {
			t.Fatal(err)
		}
		if err := c.DeleteRepository(t.Context(), "repo"); err != nil {
			t.Fatal(err)
		}
		if rest := keysOf(t, c.records.bucket); len(rest) > 0 {
			t.Errorf("after the deletion there are %q", rest)
		}
	})
}

func headOf(t *testing.T, c *Catalog) Branch {
	t.Helper()
	b, err := c.Branch(t.Context(), "repo", "main")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantDropped(t *testing.T, c *Catalog, want ...string) {
	t.Helper()
	dropped, err := c.DroppedHeads(t.Context(), "repo", headOf(t, c))
	got := names(dropped, func(d Dropped) string { return d.CommitID })
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dropped heads %q, %v, want %q", got, err, want)
	}
}
