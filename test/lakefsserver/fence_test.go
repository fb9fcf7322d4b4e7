package lakefsserver_test

import (
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// These tests are about a merge whose outcome is not known, because its answer is lost or late.
//
// A merge into a branch changes the record of the branch twice, each time by compare-and-swap
// and again if that fails. First it seals the branch's staging area, for which the branch must
// be clean. Then it reads the record, resolves the name of the source, merges, calls pre-merge
// hooks, and moves the branch. So once the name of the source is deleted, any merge into the
// branch that seals it is a fence: a merge that had resolved the name before fails to move the
// branch, starts again, and does not find the name. The merge of the deleted name itself is such
// a merge, which changes nothing else.

// flight is a merge that is held in its pre-merge hook, where it has resolved its source and
// read the record of its target, but not yet moved it.
type flight struct {
	repo    lakefstest.Repository
	base    string // the head of the target
	done    <-chan lakefstest.Answer
	release func()
	hooks   *hooks
}

// A departure makes what a flight merges, of a metarange on a base, and returns its name.
type departure func(t *testing.T, repo lakefstest.Repository, base lakefstest.Commit, metarange string) (ref string)

// fromHidden merges the hidden branch.
func fromHidden(t *testing.T, repo lakefstest.Repository, base lakefstest.Commit, metarange string) (ref string) {
	t.Helper()
	stage(t, repo, base.ID, metarange)
	return hidden
}

// takeOff starts a merge into target, and waits until it is held.
func takeOff(t *testing.T, from departure, settings ...string) *flight {
	t.Helper()
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph, Settings: settings})
	repo := newRepository(t, server, "repo")
	hold, reached, release := faultproxy.Hold()
	t.Cleanup(release)
	h := newHooks(t, func(string) { hold() })
	target := h.install(t, repo, "pre-merge")
	base := repo.Commit(t, repo.Head(t, target))
	ref := from(t, repo, base, tree(t, repo, target, []string{"data/new"}, []string{"data/a"}))

	done := make(chan lakefstest.Answer, 1)
	go func() { done <- mergeTarget(t, repo, ref, landingBody(nil)) }()
	expect.Received(t, "the hook of the merge", reached)
	return &flight{repo, base.ID, done, release, h}
}

func mergeTarget(t *testing.T, repo lakefstest.Repository, ref string, body object) lakefstest.Answer {
	t.Helper()
	return repo.In(t, "POST", "/refs/"+ref+"/merge/target", body)
}

// land lets the merge go on, and returns its answer.
func (f *flight) land(t *testing.T) lakefstest.Answer {
	t.Helper()
	f.release()
	return expect.Received(t, "the answer of the merge", f.done)
}

// landed says whether there is a commit on the base.
func (f *flight) landed(t *testing.T) bool {
	t.Helper()
	return f.repo.Head(t, "target") != f.base
}

const sourceGone = "update branch target: get commit by ref " + hidden + ": not found"

// fence puts up the fence.
func (f *flight) fence(t *testing.T) {
	t.Helper()
	mergeTarget(t, f.repo, hidden, landingBody(nil)).Is(t, http.StatusNotFound, sourceGone)
}

func TestDeletingTheSourceDoesNotStopAMerge(t *testing.T) {
	f := takeOff(t, fromHidden)
	dropHidden(t, f.repo)
	f.land(t).Is(t, http.StatusOK, "")
	if !f.landed(t) {
		t.Error("the merge did not land")
	}
}

func TestFenceStopsAMergeThatRuns(t *testing.T) {
	f := takeOff(t, fromHidden)
	dropHidden(t, f.repo)
	f.fence(t)
	f.fence(t) // again is harmless
	f.land(t).Is(t, http.StatusNotFound, sourceGone)
	if f.landed(t) {
		t.Error("the merge landed")
	}
	if got := f.hooks.take(); !slices.Equal(got, []string{"pre-merge target"}) {
		t.Errorf("hooks %q", got)
	}
	// The branch is as it was, for users and for another landing.
	f.repo.Put(t, "target", "user/file", "")
	user := f.repo.CommitAll(t, "target", "a user").ID
	stage(t, f.repo, user, tree(t, f.repo, "target", []string{"data/new"}, []string{"data/a"}))
	mergeTarget(t, f.repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	if log := f.repo.Log(t, "target"); log[1].ID != user || log[2].ID != f.base {
		t.Errorf("the log is %+v", log)
	}
}

func TestFenceStopsAMergeThatArrivesLate(t *testing.T) {
	repo := start(t)
	base := repo.Head(t, "main")
	stage(t, repo, base, tree(t, repo, "main", []string{"data/new"}, nil))
	proxy := faultproxy.Start(t, repo.Endpoint)
	hold, reached, release := faultproxy.Hold()
	t.Cleanup(release)
	proxy.Add(faultproxy.Rule{Method: "POST", Path: regexp.MustCompile("/merge/"), Nth: 1, Before: hold})
	through := repo.As(proxy.URL, lakefstest.Admin)
	done := make(chan lakefstest.Answer, 1)
	go func() { done <- merge(t, through, hidden, landingBody(nil)) }()
	expect.Received(t, "the merge", reached)

	dropHidden(t, repo)
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusNotFound, "")
	release()
	expect.Received(t, "the answer of the merge", done).Is(t, http.StatusNotFound, "")
	if head := repo.Head(t, "main"); head != base {
		t.Errorf("the head is %s", head)
	}
}

func TestFenceAfterAMergeLeavesWhatLanded(t *testing.T) {
	repo := start(t)
	base := repo.Head(t, "main")
	stage(t, repo, base, tree(t, repo, "main", []string{"data/new"}, nil))
	proxy := faultproxy.Start(t, repo.Endpoint)
	proxy.Add(faultproxy.Rule{Method: "POST", Path: regexp.MustCompile("/merge/"), Nth: 1, Lose: true})
	if a, err := repo.As(proxy.URL, lakefstest.Admin).Try(t, "POST", "/repositories/repo/refs/"+hidden+"/merge/main", landingBody(nil)); err == nil {
		t.Fatalf("the answer is not lost: %d %s", a.Status, a.Body)
	}
	dropHidden(t, repo)
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusNotFound, "")
	if log := repo.Log(t, "main"); log[0].Metadata["rangefleet.import"] != "x" || log[1].ID != base {
		t.Errorf("the log is %+v", log)
	}
}

// A commit ID is resolved again, so that nothing stops its merge.
func TestFenceDoesNotStopAMergeOfACommitID(t *testing.T) {
	f := takeOff(t, func(t *testing.T, repo lakefstest.Repository, base lakefstest.Commit, metarange string) string {
		return commitRecord(t, repo, base, metarange).Is(t, http.StatusNoContent, "").commit
	})
	f.fence(t)
	f.land(t).Is(t, http.StatusOK, "")
	if got := f.hooks.take(); !f.landed(t) || len(got) != 2 {
		t.Errorf("the merge did not land, or not at its second try: hooks %q", got)
	}
}

// A branch at a commit that is stored on no branch is a name to delete, and protection forbids
// neither to create nor to delete it.
func TestFenceStopsAMergeOfABranchAtACommitRecord(t *testing.T) {
	f := takeOff(t, func(t *testing.T, repo lakefstest.Repository, base lakefstest.Commit, metarange string) string {
		protect(t, repo, "*", base.ID)
		dropHidden(t, repo)
		id := commitRecord(t, repo, base, metarange).Is(t, http.StatusNoContent, "").commit
		repo.In(t, "POST", "/branches", object{"name": hidden, "source": id, "hidden": true}).Is(t, http.StatusCreated, "")
		return hidden
	})
	dropHidden(t, f.repo)
	f.fence(t)
	f.land(t).Is(t, http.StatusNotFound, sourceGone)
	if f.landed(t) {
		t.Error("the merge landed")
	}
}

// Once a user has written to the branch, there is no fence, and the merge still lands.
func TestDirtyBranchCannotBeFenced(t *testing.T) {
	f := takeOff(t, fromHidden)
	dropHidden(t, f.repo)
	f.repo.Put(t, "target", "user/file", "")
	mergeTarget(t, f.repo, hidden, landingBody(nil)).Is(t, http.StatusBadRequest, "uncommitted changes (dirty branch)")
	f.land(t).Is(t, http.StatusOK, "")
	if !f.landed(t) || !slices.Contains(f.repo.Paths(t, "target"), "user/file") {
		t.Error("the merge did not land, or took the user's file with it")
	}
}

// Where a hook forbids to delete the hidden branch, a reset of it to the target's head is as
// good, if merges are without allow_empty.
func TestFenceByResettingTheSource(t *testing.T) {
	f := takeOff(t, fromHidden)
	f.repo.In(t, "PUT", "/branches/"+hidden+"/hard_reset?ref="+f.base, nil).Is(t, http.StatusNoContent, "")
	const noChanges = "update branch target: no changes"
	mergeTarget(t, f.repo, hidden, landingBody(nil)).Is(t, http.StatusBadRequest, noChanges)
	f.land(t).Is(t, http.StatusBadRequest, noChanges)
	if f.landed(t) {
		t.Error("the merge landed")
	}
}

// A server with branch ownership makes the fence wait for the merge that runs, which lands.
func TestFenceWaitsWithBranchOwnership(t *testing.T) {
	f := takeOff(t, fromHidden, "LAKEFS_GRAVELER_BRANCH_OWNERSHIP_ENABLED=true")
	dropHidden(t, f.repo)
	fenced := make(chan lakefstest.Answer, 1)
	go func() { fenced <- mergeTarget(t, f.repo, hidden, landingBody(nil)) }()
	select {
	case a := <-fenced:
		t.Errorf("the fence does not wait: %d %s", a.Status, a.Body)
	case <-time.After(time.Second): // a fence that does not wait takes milliseconds
	}
	f.land(t).Is(t, http.StatusOK, "")
	expect.Received(t, "the fence", fenced).Is(t, http.StatusNotFound, sourceGone)
	if !f.landed(t) {
		t.Error("the merge did not land")
	}
}
