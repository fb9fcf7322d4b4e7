package lakefsserver_test

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// beside is a coordinator beside a lakeFS server, which it reaches by a proxy.
type beside struct {
	lakefs  *lakefstest.Server
	proxy   *faultproxy.Proxy
	process *process.Process
	sources string                // URI of a bucket with the keys a/1, a/2 and b/3
	repo    lakefstest.Repository // at lakeFS, as Admin
	imports lakefstest.Repository // at the coordinator, as Admin
}

// newBeside starts both, the coordinator with further settings.
func newBeside(t *testing.T, c lakefstest.Config, settings ...string) *beside {
	t.Helper()
	c.Blockstore = ceph
	b := &beside{lakefs: lakefstest.Start(t, c), sources: namespaces(t)}
	expect.NoError(t, ceph.Put(t.Context(), strings.TrimPrefix(b.sources, "s3://"), []string{"a/1", "a/2", "b/3"}, func(key string) string { return "of " + key }))
	b.proxy = faultproxy.Start(t, b.lakefs.Endpoint)
	b.repo = newRepository(t, b.lakefs, "repo")
	var endpoint string
	endpoint, b.process = runRangefleet(t, ceph.Endpoint, append(settings,
		"RANGEFLEET_CATALOG_KIND=lakefs", "RANGEFLEET_LAKEFS_URL="+b.proxy.URL,
		"RANGEFLEET_LAKEFS_ACCESS_KEY_ID="+lakefstest.Admin.AccessKeyID, "RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY="+lakefstest.Admin.SecretAccessKey,
		"RANGEFLEET_SOURCES_ALLOW="+b.sources+",s3://"+strings.TrimPrefix(b.repo.Namespace, "s3://"))...)
	b.imports = b.repo.As(endpoint, lakefstest.Admin)
	return b
}

// body is that of an import of one prefix.
func body(source, destination string) object {
	return object{
		"paths":  []object{{"type": "common_prefix", "path": source, "destination": destination}},
		"commit": object{"message": "an import", "metadata": object{"k": "v"}},
	}
}

// begin starts an import to main, and returns its ID.
func (b *beside) begin(t *testing.T, source, destination string) (id string) {
	t.Helper()
	a := b.imports.In(t, "POST", "/branches/main/import", body(source, destination)).Is(t, http.StatusAccepted, "")
	return lakefstest.Into[struct{ ID string }](t, a).ID
}

// status is what an import's status says.
type status struct {
	Completed   bool
	Error       *struct{ Message string }
	MetarangeID string `json:"metarange_id"`
	Commit      *lakefstest.Commit
	Interfering string `json:"interfering_commit"`
}

// end waits for the end of an import.
func (b *beside) end(t *testing.T, id string) (s status) {
	t.Helper()
	expect.Within(t, expect.Patience, "end of the import", func(context.Context) (bool, error) {
		a, err := b.imports.Try(t, "GET", "/repositories/repo/branches/main/import?id="+url.QueryEscape(id), nil)
		if err == nil && a.Status == http.StatusOK { // else it is being restarted
			s = lakefstest.Into[status](t, a)
		}
		return s.Completed || s.Error != nil, nil
	})
	return s
}

// landed returns the commits of an import on main.
func (b *beside) landed(t *testing.T, id string) (all []lakefstest.Commit) {
	t.Helper()
	for _, c := range b.repo.Log(t, "main") {
		if c.Metadata["rangefleet.import"] == id {
			all = append(all, c)
		}
	}
	return all
}

// wantOne checks that an import made one commit, which its status shows.
func (b *beside) wantOne(t *testing.T, id string, paths ...string) {
	t.Helper()
	s := b.end(t, id)
	if !s.Completed || s.Commit == nil {
		t.Fatalf("the import ended %+v", s)
	}
	commits := b.landed(t, id)
	if len(commits) != 1 || !reflect.DeepEqual(commits[0], *s.Commit) || commits[0].MetarangeID != s.MetarangeID || s.Interfering != "" {
		t.Errorf("the import made the commits %+v, and its status shows %+v", commits, s)
	}
	if got := b.repo.Paths(t, "main"); !slices.Equal(got, paths) {
		t.Errorf("main holds %q, want %q", got, paths)
	}
}

// An import to a lakeFS server replaces its destination by one commit of the service
// account, from which lakeFS serves the objects.
func TestImportsLandOnALakeFSServer(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	id := b.begin(t, b.sources+"/a/", "data/")
	if !strings.HasPrefix(id, "rf-") {
		t.Errorf("the import is %s", id)
	}
	b.wantOne(t, id, "data/1", "data/2", "other/c")
	c := b.landed(t, id)[0]
	if c.Committer != lakefstest.Admin.Name || c.Message != "an import" || c.Metadata["k"] != "v" || c.Metadata["rangefleet.user"] != lakefstest.Admin.Name {
		t.Errorf("the commit is %+v", c)
	}
	b.repo.In(t, "GET", "/refs/main/objects?path=data/1", nil).Is(t, http.StatusOK, "of a/1")
	if a := b.repo.In(t, "GET", "/branches?show_hidden=true", nil).Is(t, http.StatusOK, ""); strings.Contains(a.Body, "rf-") {
		t.Errorf("the branches are %s", a.Body)
	}
	b.repo.In(t, "GET", "/metadata", nil).Is(t, http.StatusOK, ".lakefs.last.import.timestamp")
	b.wantOne(t, b.begin(t, b.sources+"/a/", "data/"), "data/1", "data/2", "other/c") // changes nothing, and is a commit
	b.wantOne(t, b.begin(t, b.sources+"/", ""), "a/1", "a/2", "b/3")
}

// What a request is refused for, in lakeFS's words.
func TestRefusalsBesideALakeFSServer(t *testing.T) {
	authority := lakefstest.NewAuthority()
	b := newBeside(t, lakefstest.Config{Authority: authority})
	caller := b.imports.As(b.imports.Endpoint, user)
	start := func(branch, destination string) lakefstest.Answer {
		return caller.In(t, "POST", "/branches/"+branch+"/import", body(b.sources+"/a/", destination))
	}
	start("main", "data/").Is(t, http.StatusUnauthorized, "error authenticating request")
	for _, c := range []struct {
		missing string
		allowed []string
	}{
		{"fs:CreateCommit", []string{"fs:ReadBranch", "fs:WriteObject"}},
		{"fs:WriteObject", []string{"fs:ReadBranch", "fs:CreateCommit"}},
		{"fs:ReadBranch", []string{"fs:WriteObject", "fs:CreateCommit"}},
	} {
		authority.Put(user, lakefstest.Allow("*", c.allowed...))
		for _, branch := range []string{"main", "none"} {
			start(branch, "data/").Is(t, http.StatusUnauthorized, "insufficient permissions: not allowed to "+c.missing)
		}
	}
	authority.Put(user, lakefstest.Allow("*", "fs:ReadBranch", "fs:CreateCommit"), lakefstest.Allow(objectARN+"data/*", "fs:WriteObject"))
	for _, destination := range []string{"other/", "data", ""} {
		start("main", destination).Is(t, http.StatusUnauthorized, "insufficient permissions: not allowed to fs:WriteObject")
	}
	start("none", "data/").Is(t, http.StatusNotFound, "branch not found")

	b.imports.In(t, "POST", "/branches/main/import", body("s3://elsewhere/a/", "data/")).Is(t, http.StatusBadRequest, "sources.allow")
	b.imports.In(t, "POST", "/branches/main/import", body(b.repo.Namespace+"/", "data/")).Is(t, http.StatusBadRequest, "invalid import source")
	reserved := body(b.sources+"/a/", "data/")
	reserved["commit"] = object{"message": "m", "metadata": object{"rangefleet.user": "another"}}
	b.imports.In(t, "POST", "/branches/main/import", reserved).Is(t, http.StatusBadRequest, "rangefleet.user")
	b.imports.In(t, "GET", "/branches/main", nil).Is(t, http.StatusNotFound, "lakeFS server")

	// An import is known on its own branch alone, and to those who may read that.
	a := start("main", "data/").Is(t, http.StatusAccepted, "")
	id := lakefstest.Into[struct{ ID string }](t, a).ID
	b.wantOne(t, id, "data/1", "data/2", "other/c")
	b.repo.In(t, "POST", "/branches", object{"name": "side", "source": "main"}).Is(t, http.StatusCreated, "")
	b.imports.In(t, "GET", "/branches/side/import?id="+id, nil).Is(t, http.StatusNotFound, "not found")
	caller.In(t, "DELETE", "/branches/main/import?id="+id, nil).Is(t, http.StatusUnauthorized, "insufficient permissions: not allowed to fs:ImportCancel")
	authority.Put(user, lakefstest.Allow(branchARN+"main", "fs:ImportCancel"))
	caller.In(t, "DELETE", "/branches/main/import?id="+id, nil).Is(t, http.StatusConflict, "too late to cancel")
	caller.In(t, "DELETE", "/branches/main/import?id=none", nil).Is(t, http.StatusNotFound, "not found")
	caller.In(t, "GET", "/branches/main/import?id="+id, nil).Is(t, http.StatusUnauthorized, "insufficient permissions: not allowed to fs:ReadBranch")
	if c := b.landed(t, id); len(c) != 1 || c[0].Metadata["rangefleet.user"] != user.Name || c[0].Committer != lakefstest.Admin.Name {
		t.Errorf("the commits are %+v", c)
	}
}

// The status of an import whose merge came after another commit names that commit, and shows the
// correction as lakeFS does.
func TestAStatusNamesTheCommitThatGotBetween(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	between := ""
	b.proxy.Add(faultproxy.Rule{Method: mergeCall.Method, Path: coordinatorMerge, Nth: 1, Before: func() { between = userCommits(t, b.repo, "data/between") }})
	id := b.begin(t, b.sources+"/a/", "data/")
	s := b.end(t, id)
	commits := b.landed(t, id)
	if len(commits) != 2 || s.Commit == nil || !reflect.DeepEqual(*s.Commit, commits[0]) || s.Interfering != between || s.MetarangeID != commits[0].MetarangeID {
		t.Fatalf("after %s the import made %+v, and its status shows %+v of %+v", between, commits, s.Commit, s)
	}
	if m := commits[0].Metadata; m["rangefleet.corrects"] != commits[1].ID || m["rangefleet.landing"] == "" || m["rangefleet.user"] != lakefstest.Admin.Name {
		t.Errorf("the correction is %+v", commits[0])
	}
	if got := b.repo.Paths(t, "main"); !slices.Equal(got, []string{"data/1", "data/2", "other/c"}) {
		t.Errorf("main holds %q", got)
	}
	b.wantOne(t, b.begin(t, b.sources+"/a/", "data/"), "data/1", "data/2", "other/c")
}

// coordinatorMerge is the path of a merge of a coordinator's hidden branch.
var coordinatorMerge = regexp.MustCompile(`/refs/rf-[0-9a-f]+/merge/`)

// A dirty branch ends an import with lakeFS's words.
func TestAnImportToADirtyBranchOfAServerFails(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	b.repo.Put(t, "main", "data/staged", "")
	id := b.begin(t, b.sources+"/a/", "data/")
	if s := b.end(t, id); s.Error == nil || !strings.Contains(s.Error.Message, "uncommitted changes (dirty branch)") {
		t.Errorf("the import ended %+v", s)
	}
	if c := b.landed(t, id); len(c) != 0 {
		t.Errorf("it made the commits %+v", c)
	}
}

// A coordinator that is killed while the server merges goes on after a restart, and the
// import is one commit.
func TestAKilledCoordinatorLandsOnAServerOnce(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	hold, reached, release := faultproxy.Hold()
	t.Cleanup(release)
	b.proxy.Add(faultproxy.Rule{Method: mergeCall.Method, Path: coordinatorMerge, Nth: 1, After: hold})
	id := b.begin(t, b.sources+"/a/", "data/")
	expect.Received(t, "the merge", reached)
	expect.NoError(t, b.process.Restart())
	release()
	b.wantOne(t, id, "data/1", "data/2", "other/c")
}

// After a restart of the coordinator what was granted to a user holds, unless the user is gone.
func TestAnImportOfAUserWhoIsGoneDoesNotLand(t *testing.T) {
	authority := lakefstest.NewAuthority()
	authority.Put(user, lakefstest.Allow("*", "fs:*"))
	b := newBeside(t, lakefstest.Config{Authority: authority})
	b.imports = b.imports.As(b.imports.Endpoint, user)
	for _, gone := range []bool{false, true} {
		hold, reached, release := faultproxy.Hold()
		t.Cleanup(release)
		b.proxy.Reset()
		b.proxy.Add(faultproxy.Rule{Method: "POST", Path: regexp.MustCompile(`/branches$`), Nth: 1, Before: hold})
		id := b.begin(t, b.sources+"/a/", "data/")
		expect.Received(t, "the branch is asked for", reached)
		expect.NoError(t, b.process.Restart())
		if gone {
			authority.Remove(user.Name)
			b.imports = b.imports.As(b.imports.Endpoint, lakefstest.Admin)
		}
		release()
		s, commits := b.end(t, id), len(b.landed(t, id))
		if gone && (s.Error == nil || !strings.Contains(s.Error.Message, "user not found") || commits > 0) || !gone && (!s.Completed || commits != 1) {
			t.Errorf("gone: %t: the import ended %+v, with %d commits", gone, s, commits)
		}
	}
}

// While the server is out of reach, callers that it accepted a moment ago see how their
// imports are, and the import goes on afterwards.
func TestAServerThatIsAwayDelaysAnImport(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	id := b.begin(t, b.sources+"/a/", "data/")
	b.wantOne(t, id, "data/1", "data/2", "other/c")
	b.proxy.Add(faultproxy.Rule{Refuse: true})
	b.imports.In(t, "GET", "/branches/main/import?id="+id, nil).Is(t, http.StatusOK, "")
	b.imports.In(t, "POST", "/branches/main/import", body(b.sources+"/b/", "data/")).Is(t, http.StatusServiceUnavailable, "the lakeFS server cannot be asked now")
	b.proxy.Reset()
	b.wantOne(t, b.begin(t, b.sources+"/b/", "data/"), "data/3", "other/c")
}

// An import to a branch with pre-commit hooks, which would not run, is refused unless the
// settings say otherwise. The test of settings is elsewhere.
func TestABranchWithPrecommitHooksIsRefused(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	action := func(events string) {
		b.repo.PutContent(t, "main", "_lakefs_actions/check.yaml",
			"name: check\non:\n"+events+"hooks:\n  - id: one\n    type: lua\n    properties:\n      script: |\n        print(1)\n")
		b.repo.CommitAll(t, "main", "an action")
	}
	action("  pre-commit:\n    branches: [main]\n")
	b.imports.In(t, "POST", "/branches/main/import", body(b.sources+"/a/", "data/")).Is(t, http.StatusBadRequest, "_lakefs_actions/check.yaml")
	action("  pre-commit:\n    branches: [other]\n  pre-merge:\n")
	b.wantOne(t, b.begin(t, b.sources+"/a/", "data/"), "_lakefs_actions/check.yaml", "data/1", "data/2", "other/c")

	// One that comes while the import runs refuses it before its merge.
	b.proxy.Add(faultproxy.Rule{Method: "POST", Path: regexp.MustCompile(`/branches$`), Nth: 1, Before: func() { action("  pre-commit:\n") }})
	id := b.begin(t, b.sources+"/b/", "data/")
	if s := b.end(t, id); s.Error == nil || !strings.Contains(s.Error.Message, "pre-commit hooks") || len(b.landed(t, id)) > 0 {
		t.Errorf("the import ended %+v", s)
	}
}
