package coordinator

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// An import that changes nothing makes its commit like any other, which the server is told may be
// empty.
func TestAnImportThatChangesNothingLandsOnAServer(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.wantEnd(i.ends(i.driver(i.service)), imports.Completed, "")
	i.begin(lakefs.Keys("caller", "secret"))
	i.wantEnd(i.ends(i.driver(i.service)), imports.Completed, "")
	if n := len(i.lakefs.landed()); n != 2 {
		t.Errorf("two imports made %d commits", n)
	}
}

// A correction is computed on the merge that it corrects, whatever users commit after it.
func TestACorrectionIsMadeOnTheMerge(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	f, merge, base := i.lakefs, "", ""
	f.answers(func(call string) said {
		switch head := f.branches["main"]; {
		case strings.Contains(call, "/refs/rf-1/merge"):
			f.commit("main", "of a user", nil)
		case merge == "" && head.Metadata[importKey] != "":
			merge, head.MetarangeID = head.ID, "" // a three-way merge left out the entry
			f.commits[merge] = head
			f.commit("main", "", nil)
		case strings.Contains(call, "/branches/rf-2/commits"):
			base = f.branches["rf-2"].ID
		}
		return said{}
	})
	r := i.ends(i.driver(i.service))
	i.wantEnd(r, imports.Completed, "")
	if merge == "" || base != merge || r.Landing.Corrected == nil {
		t.Errorf("merge %q is corrected on %q: %+v", merge, base, r.Landing)
	}
}

// A branch with a pre-commit hook is refused at the start, unless the settings say to skip hooks.
func TestABranchWithAHookIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	f, fake := newServerFleet(t, entrytest.Random(rand.New(rand.NewPCG(1, 2)), 1)[0])
	s := f.service()
	t.Cleanup(s.close)
	fake.change(func(f *fakeServer) { f.hook = true })
	if _, err := s.Start(t.Context(), request("", "")); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "pre-commit hooks") {
		t.Errorf("start: %v, want it to be refused", err)
	}
	s.lakefs.skipHooks = true
	f.start(s, request("", ""))
}
