package lakefsserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// landOnce lands a tree with data/new and without data/a, and leaves the hidden branch.
func landOnce(t *testing.T, repo lakefstest.Repository) (base string) {
	t.Helper()
	base = repo.Head(t, "main")
	stage(t, repo, base, tree(t, repo, "main", []string{"data/new"}, []string{"data/a"}))
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	return base
}

// userCommits changes a path of main as a user does.
func userCommits(t *testing.T, repo lakefstest.Repository, path string) string {
	t.Helper()
	repo.Put(t, "main", path, " of a user")
	return repo.CommitAll(t, "main", "a user").ID
}

// checksum returns the checksum of an object of main.
func checksum(t *testing.T, repo lakefstest.Repository, path string) string {
	t.Helper()
	a := repo.In(t, "GET", "/refs/main/objects/stat?path="+path, nil).Is(t, http.StatusOK, "")
	return lakefstest.Into[struct{ Checksum string }](t, a).Checksum
}

// Trap A.
func TestRepeatedMergeRevertsWhatAUserChangedInBetween(t *testing.T) {
	repo := start(t)
	landOnce(t, repo)
	landed := checksum(t, repo, "data/new")
	userCommits(t, repo, "data/new")
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	if log := repo.Log(t, "main"); len(log) != 5 || checksum(t, repo, "data/new") != landed {
		t.Errorf("the log has %d commits", len(log))
	}
}

// Trap A: a repetition without a strategy reverts nobody. But only what a user changed of the
// same keys makes it fail; else there is a second commit, whose tree is that of the head.
func TestRepeatedMergeWithoutStrategy(t *testing.T) {
	for name, c := range map[string]struct {
		changed string // by a user, in between
		status  int
	}{
		"nothing in between":    {"", http.StatusOK},
		"another key":           {"other/c", http.StatusOK},
		"a key of the import":   {"data/new", http.StatusConflict},
		"a key that it removed": {"data/a", http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			repo := start(t)
			landOnce(t, repo)
			if c.changed != "" {
				userCommits(t, repo, c.changed)
			}
			before := repo.Log(t, "main")
			merge(t, repo, hidden, landingBody(object{"strategy": ""})).Is(t, c.status, "")
			after := repo.Log(t, "main")
			if second := len(after) > len(before); second != (c.status == http.StatusOK) || after[0].MetarangeID != before[0].MetarangeID {
				t.Errorf("the log is %+v, and was %+v", after, before)
			}
		})
	}
}

// Trap B.
func TestMergeAfterAnotherCommitIsThreeWay(t *testing.T) {
	repo := start(t)
	base := repo.Head(t, "main")
	stage(t, repo, base, tree(t, repo, "main", []string{"data/new"}, []string{"data/a"})) // leaves data/b as it is
	userCommits(t, repo, "data/added")
	between := userCommits(t, repo, "data/b")
	theirs := checksum(t, repo, "data/b")
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	if head := repo.Commit(t, repo.Head(t, "main")); head.Parents[0] != between {
		t.Errorf("the parents are %q", head.Parents)
	}
	if got := repo.Paths(t, "main"); !slices.Equal(got, []string{"data/added", "data/b", "data/new", "other/c"}) || checksum(t, repo, "data/b") != theirs {
		t.Errorf("the branch has %q", got)
	}
}

// Trap D.
func TestProtectionOfAllBranchesForbidsCommitsButNotMerges(t *testing.T) {
	repo := start(t)
	base := repo.Commit(t, repo.Head(t, "main"))
	metarange := tree(t, repo, "main", []string{"data/new"}, nil)
	protect(t, repo, "*", base.ID)
	commitMetarange(t, repo, metarange).Is(t, http.StatusForbidden, "cannot commit to protected branch")
	dropHidden(t, repo)

	id := commitRecord(t, repo, base, metarange).Is(t, http.StatusNoContent, "").commit
	commitRecord(t, repo, base, metarange).Is(t, http.StatusConflict, "commit already exists: not unique")
	merge(t, repo, id, landingBody(nil)).Is(t, http.StatusOK, "")
	if head := repo.Commit(t, repo.Head(t, "main")); head.MetarangeID != metarange || !slices.Equal(head.Parents, []string{base.ID}) {
		t.Errorf("the head is %+v", head)
	}
}

// protect protects the branches of a pattern, which the hidden branch is one of, and returns once
// lakeFS no longer takes what it read of the settings before for true: three seconds. It leaves
// the hidden branch at a base.
func protect(t *testing.T, repo lakefstest.Repository, pattern, base string) {
	t.Helper()
	repo.In(t, "PUT", "/settings/branch_protection", []object{{"pattern": pattern}}).Is(t, http.StatusNoContent, "")
	repo.In(t, "POST", "/branches", object{"name": hidden, "source": base, "hidden": true}).Is(t, http.StatusCreated, "")
	expect.Eventually(t, "branches are protected", func() bool {
		a := repo.In(t, "POST", "/branches/"+hidden+"/commits", object{"message": "of no change"})
		return a.Status == http.StatusForbidden
	})
}

// record is an answer to storing a commit record, and the commit's ID.
type record struct {
	lakefstest.Answer
	commit string
}

func (r record) Is(t *testing.T, status int, text string) record {
	t.Helper()
	r.Answer.Is(t, status, text)
	return r
}

// commitRecord stores a commit of a metarange on a base, which is on no branch.
func commitRecord(t *testing.T, repo lakefstest.Repository, base lakefstest.Commit, metarange string) record {
	t.Helper()
	const created = 1_700_000_000
	metadata := map[string]string{"rangefleet.import": "x"}
	commit := ident.Commit{
		Committer: "committer", Message: "message", MetarangeID: metarange, Created: created, Metadata: metadata, Parents: []string{base.ID},
	}.ID()
	return record{repo.In(t, "POST", "/commits", object{
		"commit_id": commit, "version": 1, "committer": "committer", "message": "message", "metarange_id": metarange,
		"creation_date": created, "parents": []string{base.ID}, "generation": base.Generation + 1, "metadata": metadata,
	}), commit}
}

// Trap E.
func TestUnknownMetarangeIsFoundOutAfterTheCommit(t *testing.T) {
	repo := start(t)
	stage(t, repo, "main", strings.Repeat("0123456789abcdef", 4))
	repo.In(t, "GET", "/refs/"+hidden+"/objects/ls", nil).Is(t, http.StatusGone, "No data")
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusGone, "No data")
	repo.In(t, "DELETE", "/branches/"+hidden, nil).Is(t, http.StatusGone, "No data")
	repo.In(t, "PUT", "/branches/"+hidden+"/hard_reset?ref=main", nil).Is(t, http.StatusNoContent, "")
	dropHidden(t, repo)
}

// Trap E: a landing deletes such a branch, and then fences it like any other.
func TestABranchWithoutItsTreeIsDeletedAndFenced(t *testing.T) {
	l := newLander(t, start(t))
	base := l.repo.Head(t, "main")
	stage(t, l.repo, base, strings.Repeat("0123456789abcdef", 4))
	if o := l.perform(t, landing.Action{Kind: landing.Delete, Branch: hidden}); o.Result != landing.Done {
		t.Errorf("the branch is not deleted: %+v", o)
	}
	l.repo.In(t, "GET", "/branches/"+hidden, nil).Is(t, http.StatusNotFound, "branch not found")
	if o := l.perform(t, landing.Action{Kind: landing.Fence, Branch: hidden}); o.Reason != landing.NoSource || l.repo.Head(t, "main") != base {
		t.Errorf("the branch is not fenced: %+v", o)
	}
}

// Trap E: it is looking for actions that finds it out. Without them, the branch is broken.
func TestUnknownMetarangeLandsWithoutActions(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph, Settings: []string{"LAKEFS_ACTIONS_ENABLED=false"}})
	repo := newRepository(t, server, "repo")
	stage(t, repo, "main", strings.Repeat("0123456789abcdef", 4))
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	repo.In(t, "GET", "/refs/main/objects/ls", nil).Is(t, http.StatusGone, "No data")
}

// Trap F.
func TestMergeOfNoChangeNeedsAllowEmpty(t *testing.T) {
	repo := start(t)
	base := repo.Commit(t, repo.Head(t, "main"))
	stage(t, repo, base.ID, base.MetarangeID)
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusBadRequest, "update branch main: no changes")
	merge(t, repo, hidden, landingBody(object{"allow_empty": true})).Is(t, http.StatusOK, "")
	if log := repo.Log(t, "main"); log[0].MetarangeID != base.MetarangeID || !slices.Equal(log[0].Parents, []string{base.ID}) {
		t.Errorf("the head is %+v", log[0])
	}
}
