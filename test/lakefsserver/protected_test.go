package lakefsserver_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// These tests land imports where a pattern protects the hidden branches.

// newProtected returns a lander in a repository whose hidden branches are protected.
func newProtected(t *testing.T, server *lakefstest.Server, name string) *lander {
	t.Helper()
	l := newLander(t, newRepository(t, server, name))
	protect(t, l.repo, "rf-*", "main")
	dropHidden(t, l.repo)
	l.stores = true
	return l
}

var storeCall = faultproxy.Rule{Method: "POST", Path: regexp.MustCompile(`/commits$`)}

func TestAnImportLandsByAProtectedBranch(t *testing.T) {
	l := newProtected(t, lakefstest.Start(t, lakefstest.Config{Blockstore: ceph}), "repo")
	base := l.repo.Head(t, "main")
	l.run(t)
	l.wantLanded(t, 0, "data/a", "data/new", "other/c")
	if c := l.repo.Log(t, "main"); len(c) != 3 || c[0].ID != l.store.Landed.ID || c[1].ID != base || c[0].Committer != lakefstest.Admin.Name {
		t.Errorf("the log is %+v", c)
	}
}

func TestAnImportByAProtectedBranchIsCorrected(t *testing.T) {
	l := newProtected(t, lakefstest.Start(t, lakefstest.Config{Blockstore: ceph}), "repo")
	l.proxy.Add(faultproxy.Rule{Method: mergeCall.Method, Path: mergeCall.Path, Nth: 1, Before: func() { userCommits(t, l.repo, "data/between") }})
	l.run(t)
	l.wantLanded(t, 1, "data/a", "data/new", "other/c")
	if n := len(l.proxy.Calls(storeCall)); n != 2 {
		t.Errorf("%d commits were stored, want 2", n)
	}
}

// Without the setting, an import ends with lakeFS's words.
func TestAProtectedBranchFailsAnImport(t *testing.T) {
	l := newProtected(t, lakefstest.Start(t, lakefstest.Config{Blockstore: ceph}), "repo")
	l.stores = false
	l.run(t)
	if l.store.End != landing.Failed || !strings.Contains(l.store.Text, "cannot commit to protected branch") {
		t.Errorf("the landing ended %+v", l.store)
	}
}

func TestAnImportLandsOnceByAProtectedBranchWhateverAnswerIsLost(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	for name, rule := range map[string]faultproxy.Rule{
		"store":  {Method: storeCall.Method, Path: storeCall.Path, Nth: 1},
		"create": {Method: "POST", Path: regexp.MustCompile(`/branches$`), Nth: 2}, // at the commit
		"merge":  {Method: mergeCall.Method, Path: mergeCall.Path, Nth: 1},
		"delete": {Method: "DELETE", Path: regexp.MustCompile(`/branches/rf-`), Nth: 1},
	} {
		for _, how := range []string{"performed", "not-performed"} {
			lose := losses[how]
			t.Run(name+"-"+how, func(t *testing.T) {
				t.Parallel() // most of the time is spent until the pattern holds
				l := newProtected(t, server, name+"-"+how)
				r := rule
				lose(&r)
				l.proxy.Add(r)
				l.run(t)
				l.wantLanded(t, 0, "data/a", "data/new", "other/c")
			})
		}
	}
}

func TestAnImportLandsOnceByAProtectedBranchWhereverItsDriverIsKilled(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	for i := range landingCount(t, 12) {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			l := newProtected(t, server, fmt.Sprintf("repo-%d", i))
			l.runKilled(t, seeded.Rand(t), i%12) // the actions until the landing is recorded
			l.wantLanded(t, 0, "data/a", "data/new", "other/c")
		})
	}
}

// A coordinator lands imports where all branches are protected, if its settings say so.
func TestImportsLandWhereAllBranchesAreProtected(t *testing.T) {
	b := newBeside(t, lakefstest.Config{}, "RANGEFLEET_LAKEFS_PROTECTED_BRANCHES=store")
	protect(t, b.repo, "*", "main")
	dropHidden(t, b.repo)
	for range 2 { // the second import changes nothing
		id := b.begin(t, b.sources+"/a/", "data/")
		b.wantOne(t, id, "data/1", "data/2", "other/c")
		if c := b.landed(t, id)[0]; c.Committer != lakefstest.Admin.Name || c.Metadata["k"] != "v" || c.Metadata["rangefleet.landing"] == "" {
			t.Errorf("the commit is %+v", c)
		}
	}
	b.repo.In(t, "GET", "/refs/main/objects?path=data/1", nil).Is(t, http.StatusOK, "of a/1")
	b.wantNoHidden(t)
}
