package catalog

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestRefsAreResolved(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		if _, err := c.Branches().Create(t.Context(), "repo", "side", "main"); err != nil {
			t.Fatal(err)
		}
		two, side := commitOn(t, c, "main", "two"), commitOn(t, c, "side", "side")
		merge := commitOn(t, c, "main", "merge", side)
		for ref, want := range map[string]string{
			"main": merge.ID, "main@": merge.ID, "main^0": merge.ID, "main~0": merge.ID, "main^0~0^0": merge.ID,
			"main~": two.ID, "main^": two.ID, "main^1": two.ID, "main^2": side.ID,
			"main~2": one.ID, "main~~": one.ID, "main^^": one.ID, "main^2~": one.ID, "main^2^1": one.ID,
			"main~3": one.Parents[0], "side~1": one.ID, merge.ID + "^2": side.ID,
			merge.ID[:20]: merge.ID, merge.ID[:63]: merge.ID, side.ID[:20] + "~": one.ID,
		} {
			if got, err := c.Resolve(t.Context(), "repo", ref); err != nil || got.ID != want {
				t.Errorf("Resolve(%s) = %s, %v, want %s", ref, got.ID, err, want)
			}
		}
		for ref, text := range map[string]string{
			"main~4": `ref "main~4" not found`, "main~2000000000": "not found", "main^2~2^^": "has 0 parents", "none~": `ref "none~" not found`,
			"main^3": "has 2 parents", "main$": "staging area", "main@~": "must follow", "main~@": "must follow", "main@@": "must follow", "main@{1}": "must follow",
			"main$~": "must follow", "~1": "no name", "@": "no name", "main~-1": "not a number", "main~x": "not a number", "main^9999999999": "not a number",
			merge.ID + "@": "is not a branch", strings.ToUpper(side.ID[:20]): "not found", side.ID[:20] + "x": "not found", "": "not found",
		} {
			kind := fault.Invalid
			if strings.Contains(text, "not found") {
				kind = fault.NotFound
			}
			_, err := c.Resolve(t.Context(), "repo", ref)
			wantFault(t, ref, err, kind, text)
		}
	})
}

func TestABranchTakesPrecedenceOverAnAbbreviation(t *testing.T) {
	c := New(&kvtest.Memory{})
	root := create(t, c, "repo").root()
	one := commitOn(t, c, "main", "one")
	two := commitOn(t, c, "main", "two")
	if _, err := c.Branches().Create(t.Context(), "repo", two.ID[:5], one.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Resolve(t.Context(), "repo", two.ID[:5]); err != nil || got.ID != one.ID {
		t.Errorf("Resolve = %+v, %v, want %s", got, err, one.ID)
	}
	if got, err := c.Resolve(t.Context(), "repo", two.ID[:6]); err != nil || got.ID != two.ID {
		t.Errorf("Resolve = %+v, %v, want %s", got, err, two.ID)
	}
	for range 16 { // of 19 commits, two start with the same digit
		two = commitOn(t, c, "main", two.ID)
	}
	several := 0
	for _, digit := range "0123456789abcdef" {
		keys, err := c.records.bucket.Keys(t.Context(), commitKey(root, string(digit)))
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) < 2 {
			continue
		}
		several++
		_, err = c.Resolve(t.Context(), "repo", string(digit))
		wantFault(t, string(digit), err, fault.NotFound, "not found")
	}
	if several == 0 {
		t.Error("no digit stands for several commits")
	}
}
