package catalog

import (
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// TestMergeBaseAgainstATwin compares the merge bases of random histories with sets of ancestors.
func TestMergeBaseAgainstATwin(t *testing.T) {
	rng := seeded.Rand(t)
	for range 30 {
		c := New(&kvtest.Memory{})
		create(t, c, "repo")
		h := randomHistory(t, c, rng, 30)
		for range 30 {
			left, right := h[rng.IntN(len(h))], h[rng.IntN(len(h))]
			got, err := MergeBase(t.Context(), c, "repo", left, right)
			if want := naiveMergeBase(h, left, right); err != nil || got.ID != want.ID {
				t.Fatalf("MergeBase(%s, %s) = %s, %v, want %s", left.Message, right.Message, got.Message, err, want.Message)
			}
		}
	}
}

func naiveMergeBase(history []Commit, left, right Commit) (best Commit) {
	common := map[string]bool{}
	for _, c := range naiveLog(history, LogQuery{Ref: left.ID}) {
		common[c.ID] = true
	}
	for _, c := range naiveLog(history, LogQuery{Ref: right.ID}) {
		if common[c.ID] && compareTurns(c, best) > 0 {
			best = c
		}
	}
	return best
}

func TestCommitsWithoutAMergeBase(t *testing.T) {
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	_, err := MergeBase(t.Context(), c, "repo", Commit{ID: "a"}, Commit{ID: "b"})
	wantFault(t, "no ancestors", err, fault.Conflict, "no merge base of commits a and b")
	_, err = MergeBase(t.Context(), c, "none", Commit{ID: "a"}, Commit{ID: "a"})
	wantFault(t, "no repository", err, fault.NotFound, "repository not found")
}
