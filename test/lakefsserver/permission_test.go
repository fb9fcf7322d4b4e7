package lakefsserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

var user = lakefstest.User{Name: "user", AccessKeyID: "AKIAIOSFODNN7USERXXQ", SecretAccessKey: "a-secret-of-the-user-of-the-tests"}

// guarded is a server with users: a repository as Admin and as the user see it.
type guarded struct {
	authority   *lakefstest.Authority
	admin, user lakefstest.Repository
}

func newGuarded(t *testing.T) guarded {
	t.Helper()
	authority := lakefstest.NewAuthority()
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph, Authority: authority})
	admin := newRepository(t, server, "repo")
	return guarded{authority, admin, admin.As(server.Endpoint, user)}
}

const (
	repositoryARN = "arn:lakefs:fs:::repository/repo"
	branchARN     = repositoryARN + "/branch/"
	objectARN     = repositoryARN + "/object/"
)

// The open source knows one user, who may do everything.
func TestServerWithoutAuthorityHasOneUser(t *testing.T) {
	repo := start(t)
	repo.Call(t, "POST", "/auth/users", object{"id": "other"}).Is(t, http.StatusConflict, "Already exists")
	repo.Call(t, "GET", "/user", nil).Is(t, http.StatusOK, `"id":"admin"`)
}

// Permission comes before existence, and says what is missing.
func TestUserWithoutPermission(t *testing.T) {
	g := newGuarded(t)
	ask := func(method, path string) lakefstest.Answer { return g.user.Call(t, method, path, nil) }
	ask("GET", "/user").Is(t, http.StatusUnauthorized, "error authenticating request")
	g.authority.Put(user)
	ask("GET", "/user").Is(t, http.StatusOK, `"id":"user"`) // needs no permission
	for path, action := range map[string]string{
		"":                              "fs:ReadRepository",
		"/branches/main":                "fs:ReadBranch",
		"/branches/none":                "fs:ReadBranch",
		"/refs/main/commits":            "fs:ReadBranch",
		"/commits/none":                 "fs:ReadCommit",
		"/metadata/meta_range/none":     "fs:ListObjects",
		"/refs/main/objects/ls":         "fs:ListObjects",
		"/branches/main/import?id=none": "fs:ReadBranch",
		"/branches/main/objects/stage_allowed?path=data/": "fs:WriteObject",
	} {
		for _, repo := range []string{"repo", "none"} {
			ask("GET", "/repositories/"+repo+path).Is(t, http.StatusUnauthorized, "insufficient permissions: not allowed to "+action)
		}
	}
	g.authority.Remove(user.Name)
	ask("GET", "/user").Is(t, http.StatusUnauthorized, "error authenticating request")
}

// A merge with a strategy that does not exist says whether its user may commit, and does nothing.
func TestMergeByNoStrategyProbesForCreateCommit(t *testing.T) {
	g := newGuarded(t)
	base := g.admin.Head(t, "main")
	probe := func(repository, branch string) lakefstest.Answer {
		return g.user.Call(t, "POST", "/repositories/"+repository+"/refs/"+branch+"/merge/"+branch, object{"strategy": "none"})
	}
	probe("repo", "main").Is(t, http.StatusUnauthorized, "error authenticating request")
	g.authority.Put(user, lakefstest.Allow(branchARN+"other", "fs:*"))
	probe("repo", "main").Is(t, http.StatusUnauthorized, "insufficient permissions: not allowed to fs:CreateCommit")
	g.authority.Put(user, lakefstest.Allow("*", "fs:CreateCommit"))
	for _, at := range [][2]string{{"repo", "main"}, {"repo", "none"}, {"none", "main"}} { // it does not say what exists
		probe(at[0], at[1]).Is(t, http.StatusBadRequest, "argument strategy: invalid value: validation error")
	}
	g.admin.Put(t, "main", "data/dirty", "")
	probe("repo", "main").Is(t, http.StatusBadRequest, "argument strategy: invalid value: validation error")
	if head := g.admin.Head(t, "main"); head != base {
		t.Errorf("the head is %s", head)
	}
}

// stage_allowed asks only for the object, not for the branch or whether it exists.
func TestStageAllowed(t *testing.T) {
	g := newGuarded(t)
	g.authority.Put(user, lakefstest.Allow(objectARN+"data/*", "fs:WriteObject"))
	ask := func(path string) lakefstest.Answer { return g.user.Call(t, "GET", "/repositories/"+path, nil) }
	ask("repo/branches/main/objects/stage_allowed?path=data/").Is(t, http.StatusNoContent, "")
	ask("repo/branches/none/objects/stage_allowed?path=data/x").Is(t, http.StatusNoContent, "")
	ask("repo/branches/main/objects/stage_allowed?path=other/").Is(t, http.StatusUnauthorized, "not allowed to fs:WriteObject")
}

// landingPolicy is all that a landing needs.
var landingPolicy = []lakefstest.Statement{
	lakefstest.Allow(repositoryARN, "fs:ReadRepository", "fs:ReadCommit"),
	lakefstest.Allow(branchARN+"main", "fs:ReadBranch", "fs:CreateCommit"),
	lakefstest.Allow(branchARN+"rf-*", "fs:CreateBranch", "fs:CreateCommit", "fs:DeleteBranch"),
}

func TestPermissionsOfALanding(t *testing.T) {
	g := newGuarded(t)
	metarange := tree(t, g.admin, "main", []string{"data/new"}, nil)
	for missing := range 6 { // each is needed; the last round has all
		var statements []lakefstest.Statement
		var without string
		n := 0
		for _, s := range landingPolicy[1:] {
			var actions []string
			for _, action := range s.Action {
				if n++; n-1 == missing {
					without = action
					continue
				}
				actions = append(actions, action)
			}
			statements = append(statements, lakefstest.Allow(s.Resource, actions...))
		}
		g.authority.Put(user, append(statements, landingPolicy[0])...)
		if refused := g.land(t, metarange); refused != without {
			t.Errorf("without %q, a landing misses %q", without, refused)
		}
	}
	if head := g.admin.Commit(t, g.admin.Head(t, "main")); head.Committer != user.Name {
		t.Errorf("the head is %+v", head)
	}
}

// land lands as the user, and returns the action that is refused, if any. It leaves no branch.
func (g guarded) land(t *testing.T, metarange string) (refused string) {
	t.Helper()
	g.admin.In(t, "DELETE", "/branches/"+hidden, nil)
	for _, step := range []struct {
		method, path string
		body         object
	}{
		{"GET", "", nil},
		{"GET", "/branches/main", nil},
		{"GET", "/commits/" + g.admin.Head(t, "main"), nil},
		{"POST", "/branches", object{"name": hidden, "source": "main", "hidden": true}},
		{"POST", "/branches/" + hidden + "/commits?source_metarange=" + metarange, object{"message": "m"}},
		{"POST", "/refs/" + hidden + "/merge/main", landingBody(object{"allow_empty": true})},
		{"DELETE", "/branches/" + hidden, nil},
		{"GET", "/refs/main/commits?amount=1&first_parent=true", nil},
	} {
		var body any
		if step.body != nil {
			body = step.body
		}
		a := g.user.In(t, step.method, step.path, body)
		if action, ok := strings.CutPrefix(a.Message(), "insufficient permissions: not allowed to "); ok && a.Status == http.StatusUnauthorized {
			return action
		}
		if a.Status >= http.StatusBadRequest {
			a.Is(t, http.StatusOK, "")
		}
	}
	return ""
}

// What a landing needs besides where its hidden branch is protected, or has lost its tree.
func TestPermissionsOfAStoredCommitAndAReset(t *testing.T) {
	g := newGuarded(t)
	base := g.admin.Commit(t, g.admin.Head(t, "main"))
	g.admin.In(t, "POST", "/branches", object{"name": hidden, "source": "main", "hidden": true}).Is(t, http.StatusCreated, "")
	const reset = "/branches/" + hidden + "/hard_reset?ref=main"
	g.authority.Put(user, landingPolicy...)
	commitRecord(t, g.user, base, base.MetarangeID).Is(t, http.StatusUnauthorized, "not allowed to fs:CreateCommit")
	g.user.In(t, "PUT", reset, nil).Is(t, http.StatusUnauthorized, "not allowed to fs:RevertBranch")
	g.authority.Put(user, append(landingPolicy, lakefstest.Allow(repositoryARN, "fs:CreateCommit"), lakefstest.Allow(branchARN+"rf-*", "fs:RevertBranch"))...)
	commitRecord(t, g.user, base, base.MetarangeID).Is(t, http.StatusNoContent, "")
	g.user.In(t, "PUT", reset, nil).Is(t, http.StatusNoContent, "")
}
