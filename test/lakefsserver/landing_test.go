package lakefsserver_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

type object = map[string]any

// hidden is the name of the branch that tests land from.
const hidden = "rf-x"

// tree returns the metarange of a commit with some paths put and others deleted, which lakeFS
// makes on a branch that is gone afterwards. A path that has more than its content changes.
func tree(t *testing.T, repo lakefstest.Repository, base string, puts, deletes []string) (metarange string) {
	t.Helper()
	repo.In(t, "POST", "/branches", object{"name": "scratch", "source": base}).Is(t, http.StatusCreated, "")
	for _, path := range puts {
		repo.Put(t, "scratch", path, " changed")
	}
	for _, path := range deletes {
		repo.In(t, "DELETE", "/branches/scratch/objects?path="+path, nil).Is(t, http.StatusNoContent, "")
	}
	commit := repo.CommitAll(t, "scratch", "tree")
	repo.In(t, "DELETE", "/branches/scratch", nil).Is(t, http.StatusNoContent, "")
	return commit.MetarangeID
}

// stage makes the hidden branch at a base, and commits a metarange to it.
func stage(t *testing.T, repo lakefstest.Repository, base, metarange string) {
	t.Helper()
	repo.In(t, "POST", "/branches", object{"name": hidden, "source": base, "hidden": true}).Is(t, http.StatusCreated, "")
	commitMetarange(t, repo, metarange).Is(t, http.StatusCreated, "")
}

func commitMetarange(t *testing.T, repo lakefstest.Repository, metarange string) lakefstest.Answer {
	t.Helper()
	return repo.In(t, "POST", "/branches/"+hidden+"/commits?source_metarange="+metarange,
		object{"message": "of the hidden branch", "metadata": object{"rangefleet.import": "x"}})
}

// landingBody is the body of the merge that lands an import.
func landingBody(more object) object {
	body := object{
		"message": "an import", "metadata": object{"rangefleet.import": "x"}, "strategy": "source-wins", "squash_merge": true,
	}
	for k, v := range more {
		body[k] = v
	}
	return body
}

func merge(t *testing.T, repo lakefstest.Repository, source string, body object) lakefstest.Answer {
	t.Helper()
	return repo.In(t, "POST", "/refs/"+source+"/merge/main", body)
}

func dropHidden(t *testing.T, repo lakefstest.Repository) {
	t.Helper()
	repo.In(t, "DELETE", "/branches/"+hidden, nil).Is(t, http.StatusNoContent, "")
}

// start starts a server and makes a repository whose main has data/a, data/b and other/c.
func start(t *testing.T) lakefstest.Repository {
	t.Helper()
	return newRepository(t, lakefstest.Start(t, lakefstest.Config{Blockstore: ceph}), "repo")
}

func TestLandingIsOneCommitOnTheHead(t *testing.T) {
	repo := start(t)
	base := repo.Head(t, "main")
	metarange := tree(t, repo, "main", []string{"data/new"}, []string{"data/a", "data/b"})
	at := repo.In(t, "GET", "/metadata/meta_range/"+metarange, nil).Is(t, http.StatusOK, "")
	if location := lakefstest.Into[struct{ Location string }](t, at).Location; location != "_lakefs/"+metarange {
		t.Errorf("the metarange lies at %s", location)
	}
	stage(t, repo, base, metarange)
	answer := merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	dropHidden(t, repo)

	head := repo.Commit(t, repo.Head(t, "main"))
	if id := lakefstest.Into[struct{ Reference string }](t, answer).Reference; id != head.ID {
		t.Errorf("the merge answers %s, and the head is %s", id, head.ID)
	}
	want := lakefstest.Commit{
		ID: head.ID, Parents: []string{base}, Committer: lakefstest.Admin.Name, Message: "an import", MetarangeID: metarange,
		Generation: repo.Commit(t, base).Generation + 2, // one more than the hidden branch's
		Metadata:   map[string]string{"rangefleet.import": "x", ".lakefs.merge.strategy": "source-wins"},
	}
	if !reflect.DeepEqual(head, want) {
		t.Errorf("the head is\n%+v, want\n%+v", head, want)
	}
	if got := repo.Paths(t, "main"); !slices.Equal(got, []string{"data/new", "other/c"}) {
		t.Errorf("the branch has %q", got)
	}
}

func TestTheTreeOfANewRepositoryHasNoMetarange(t *testing.T) {
	repo := start(t)
	log := repo.Log(t, "main")
	if root := log[len(log)-1]; root.MetarangeID != "" || len(root.Parents) != 0 {
		t.Errorf("the root is %+v", root)
	}
}

func TestLandingSetsNoImportTimestamp(t *testing.T) {
	repo := start(t)
	stage(t, repo, "main", tree(t, repo, "main", []string{"data/new"}, nil))
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	if a := repo.In(t, "GET", "/metadata", nil).Is(t, http.StatusOK, ""); a.Body != "{}" {
		t.Errorf("the repository has %s", a.Body)
	}
	repo.In(t, "POST", "/metadata", object{"metadata": object{".lakefs.last.import.timestamp": "17"}}).Is(t, http.StatusNoContent, "")
	repo.In(t, "GET", "/metadata", nil).Is(t, http.StatusOK, `{".lakefs.last.import.timestamp":"17"}`)
}

func TestHiddenBranchIsNotListed(t *testing.T) {
	repo := start(t)
	a := repo.In(t, "POST", "/branches", object{"name": hidden, "source": "main", "hidden": true}).Is(t, http.StatusCreated, "")
	if a.Body != repo.Head(t, hidden) || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("creating a branch answers %s %s", a.Header.Get("Content-Type"), a.Body)
	}
	repo.In(t, "POST", "/branches", object{"name": hidden, "source": "main", "hidden": true}).Is(t, http.StatusConflict, "branch already exists")
	if a := repo.In(t, "GET", "/branches", nil).Is(t, http.StatusOK, ""); strings.Contains(a.Body, hidden) {
		t.Errorf("the branches are %s", a.Body)
	}
}

func TestMergeAcceptsStrategyForceAndAllowEmpty(t *testing.T) {
	repo := start(t)
	for _, body := range []object{{"strategy": ""}, {"strategy": "source-wins"}, {"strategy": "dest-wins"}} {
		merge(t, repo, "main", body).Is(t, http.StatusBadRequest, "update branch main: no changes")
	}
	for i, body := range []object{{"allow_empty": true}, {"force": true}, {"allow_empty": true, "squash_merge": true}} {
		merge(t, repo, "main", body).Is(t, http.StatusOK, "")
		if log := repo.Log(t, "main"); len(log) != 3+i {
			t.Errorf("after %v, the log has %d commits", body, len(log))
		}
	}
}

// What a landing is refused for.
func TestRefusals(t *testing.T) {
	repo := start(t)
	metarange := tree(t, repo, "main", []string{"data/new"}, nil)
	stage(t, repo, "main", metarange)
	repo.In(t, "POST", "/refs/"+hidden+"/merge/gone", landingBody(nil)).Is(t, http.StatusNotFound, "branch not found")
	merge(t, repo, "none", landingBody(nil)).Is(t, http.StatusNotFound, "update branch main: get commit by ref none: not found")
	stranger := repo.As(repo.Endpoint, lakefstest.User{AccessKeyID: "x", SecretAccessKey: "y"})
	merge(t, stranger, hidden, landingBody(nil)).Is(t, http.StatusUnauthorized, "error authenticating request")
	repo.Put(t, "main", "user/file", "")
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusBadRequest, "uncommitted changes (dirty branch)")
}

func TestReadOnlyRepositoryRefusesBranchesButAcceptsImports(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	c := lakefstest.NewClient(server.Endpoint, lakefstest.Admin)
	c.Call(t, "POST", "/repositories", object{"name": "repo", "storage_namespace": namespaces(t), "read_only": true}).Is(t, http.StatusCreated, `"read_only":true`)
	repo := lakefstest.Repository{Client: c, Name: "repo"}
	repo.In(t, "POST", "/branches", object{"name": hidden, "source": "main", "hidden": true}).Is(t, http.StatusForbidden, "read-only repository")
	merge(t, repo, "main", landingBody(nil)).Is(t, http.StatusForbidden, "read-only repository")
	repo.In(t, "POST", "/branches/main/import", object{
		"paths":  []object{{"type": "common_prefix", "path": "s3://none/", "destination": "data/"}},
		"commit": object{"message": "m"},
	}).Is(t, http.StatusAccepted, "")
}

// The log of a branch can be read back to where a landing started, and names that commit, too.
func TestLogStopsAtACommit(t *testing.T) {
	repo := start(t)
	base := repo.Head(t, "main")
	stage(t, repo, base, tree(t, repo, "main", []string{"data/new"}, nil))
	merge(t, repo, hidden, landingBody(nil)).Is(t, http.StatusOK, "")
	repo.Put(t, "main", "user/file", "")
	repo.CommitAll(t, "main", "a user")
	all := repo.Log(t, "main")
	a := repo.In(t, "GET", "/refs/main/commits?first_parent=true&stop_at="+base, nil).Is(t, http.StatusOK, "")
	log := lakefstest.Into[struct{ Results []lakefstest.Commit }](t, a).Results
	if !reflect.DeepEqual(log, all[:3]) || log[2].ID != base {
		t.Errorf("the log through %s is %+v", base, log)
	}
}
