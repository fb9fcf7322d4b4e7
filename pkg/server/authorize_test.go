package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// needed is what the requests of operations need: actions on resources, without
// arn:lakefs:<service>:::.
var needed = map[string][]string{
	"importStart": {
		"fs:WriteObject repository/lake/branch/main", "fs:CreateCommit repository/lake/branch/main",
		"fs:ImportFromStorage namespace/s3://b/*", "fs:WriteObject repository/lake/object/*",
	},
	"importStatus":             {"fs:ReadBranch repository/lake/branch/main"},
	"importCancel":             {"fs:ImportCancel repository/lake/branch/main"},
	"ingestRange":              {"fs:ImportFromStorage namespace/s3://b/", "fs:WriteObject repository/lake/object/*"},
	"createMetaRange":          {"fs:CreateMetaRange repository/lake"},
	"verifyMetaRange":          {"fs:ListObjects repository/lake", "fs:ReadRepository repository/lake"},
	"compareMetaRange":         {"fs:ListObjects repository/lake", "fs:ReadRepository repository/lake", "fs:ImportFromStorage namespace/s3://b/*"},
	"listRepositories":         {"fs:ListRepositories repository/none"},
	"createRepository":         {"fs:CreateRepository repository/pond", "fs:AttachStorageNamespace namespace/s3://b/"},
	"getRepository":            {"fs:ReadRepository repository/lake"},
	"deleteRepository":         {"fs:DeleteRepository repository/lake"},
	"getRepositoryMetadata":    {"fs:ReadRepository repository/lake"},
	"setRepositoryMetadata":    {"fs:UpdateRepository repository/lake"},
	"deleteRepositoryMetadata": {"fs:UpdateRepository repository/lake"},
	"dumpSubmit":               {"fs:ListTags repository/lake", "fs:ListBranches repository/lake", "fs:ListCommits repository/lake"},
	"dumpStatus":               {"fs:ListTags repository/lake", "fs:ListBranches repository/lake", "fs:ListCommits repository/lake"},
	"dumpRefs":                 {"fs:ListTags repository/lake", "fs:ListBranches repository/lake", "fs:ListCommits repository/lake"},
	"listBranches":             {"fs:ListBranches repository/lake"},
	"createBranch":             {"fs:CreateBranch repository/lake/branch/dev"},
	"getBranch":                {"fs:ReadBranch repository/lake/branch/main"},
	"deleteBranch":             {"fs:DeleteBranch repository/lake/branch/main"},
	"resetBranch":              {"fs:RevertBranch repository/lake/branch/main"},
	"diffBranch":               {"fs:ListObjects repository/lake"},
	"hardResetBranch":          {"fs:RevertBranch repository/lake/branch/main"},
	"revertBranch":             {"fs:RevertBranch repository/lake/branch/main"},
	"listTags":                 {"fs:ListTags repository/lake"},
	"createTag":                {"fs:CreateTag repository/lake/tag/v2"},
	"getTag":                   {"fs:ReadTag repository/lake/tag/v1.0"},
	"deleteTag":                {"fs:DeleteTag repository/lake/tag/v1.0"},
	"getCommit":                {"fs:ReadCommit repository/lake"},
	"commit":                   {"fs:CreateCommit repository/lake/branch/main"},
	"logCommits":               {"fs:ReadBranch repository/lake/branch/main"},
	"mergeIntoBranch":          {"fs:CreateCommit repository/lake/branch/main"},
	"findMergeBase":            {"fs:ListCommits repository/lake"},
	"getObject":                {"fs:ReadObject repository/lake/object/a"},
	"headObject":               {"fs:ReadObject repository/lake/object/a"},
	"statObject":               {"fs:ReadObject repository/lake/object/a"},
	"diffRefs":                 {"fs:ListObjects repository/lake"},
	"listObjects":              {"fs:ListObjects repository/lake"},
	"listImports":              {},
	"listUsers":                {"auth:ListUsers *"},
	"createUser":               {"auth:CreateUser user/zoe"},
	"getUser":                  {"auth:ReadUser user/ann"},
	"deleteUser":               {"auth:DeleteUser user/ann"},
	"listUserCredentials":      {"auth:ListCredentials user/ann"},
	"createCredentials":        {"auth:CreateCredentials user/ann"},
	"getCredentials":           {"auth:ReadCredentials user/ann"},
	"deleteCredentials":        {"auth:DeleteCredentials user/ann"},
	"listUserSessions":         {"auth:ListCredentials user/ann"},
	"deleteUserSessions":       {"auth:DeleteCredentials user/ann"},
	"deleteUserSession":        {"auth:DeleteCredentials user/ann"},
	"deleteSigningKeys":        {"auth:DeleteCredentials *"},
	"listUserGroups":           {"auth:ReadUser user/ann"},
	"listUserPolicies":         {"auth:ReadUser user/ann"},
	"listGroups":               {"auth:ListGroups *"},
	"getGroup":                 {"auth:ReadGroup group/TeamA"},
	"listGroupMembers":         {"auth:ReadGroup group/TeamA"},
	"listGroupPolicies":        {"auth:ReadGroup group/TeamA"},
	"listPolicies":             {"auth:ListPolicies *"},
	"getPolicy":                {"auth:ReadPolicy policy/ImportA"},
	"trySource":                {"fs:ImportFromStorage namespace/s3://b/"},
	"getConfig":                {},
	"getLakeFSVersion":         {},
	"getStorageConfig":         {"fs:ReadConfig *"},
	"getCurrentUser":           {},
	"postStatsEvents":          {},
}

// allowing returns rules that allow the user joe what is needed, and nothing else. A need that
// starts with "deny " is denied.
func allowing(t *testing.T, needs ...string) *access.Rules {
	t.Helper()
	text := "policies:\n  - {id: P, statement: [{effect: allow, action: ['fs:DeleteObject'], resource: 'arn:lakefs:fs:::repository/none'}"
	for _, n := range needs {
		effect := "allow"
		if rest, ok := strings.CutPrefix(n, "deny "); ok {
			n, effect = rest, "deny"
		}
		action, resource, _ := strings.Cut(n, " ")
		if resource != "*" {
			service, _, _ := strings.Cut(action, ":")
			resource = "arn:lakefs:" + service + ":::" + resource
		}
		text += fmt.Sprintf(", {effect: %s, action: ['%s'], resource: '%s'}", effect, action, resource)
	}
	rules, err := access.ParseRules("rules.yaml", []byte(text+"]}\nusers:\n  - {id: joe, policies: [P]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// ruled makes a fixture whose user is joe, under rules.
func ruled(rules *access.Rules) func(*Config) {
	return func(c *Config) {
		c.Auth = namedUser("joe")
		c.Grants = func(_ context.Context, c access.Caller) (access.Grants, error) { return rules.Of(c), nil }
	}
}

// lifeless has no services: a request that reaches one is answered with 500.
func lifeless(c *Config) {
	c.Service, c.Catalog, c.Branches, c.Tags, c.Editor, c.Imports, c.Differ, c.Inspector, c.Dumper = nil, nil, nil, nil, nil, nil, nil, nil, nil
	c.Users, c.AccessKeys, c.UserSessions, c.Rules = nil, nil, nil, nil
}

// A caller that lacks a single permission is told so, and nothing is done or looked up. One that
// has exactly the permissions that an operation needs is served.
func TestEveryOperationAuthorizes(t *testing.T) {
	operations(t, func(id, method, target, body string) {
		needs, ok := needed[id]
		if !ok {
			t.Errorf("%s: the test does not know what it needs", id)
		}
		f := newFixture(t, ruled(allowing(t, needs...)))
		f.service.tree, f.service.left = treeOf(t, "a"), treeOf(t, "a")
		if w := f.do(method, target, body, nil); w.Code == 401 || w.Code == 500 {
			t.Errorf("%s with all it needs: %d %s", id, w.Code, w.Body)
		}
		for i := range needs {
			action, _, _ := strings.Cut(needs[i], " ")
			for want, rules := range map[string]*access.Rules{
				"not allowed to ":       allowing(t, slices.Delete(slices.Clone(needs), i, i+1)...),
				"denied permission to ": allowing(t, append(slices.Clone(needs), "deny "+needs[i])...),
			} {
				if id == "listRepositories" && strings.HasPrefix(want, "denied") {
					continue // what is denied is left out
				}
				w := newFixture(t, ruled(rules), lifeless).do(method, target, body, nil)
				message := `{"message":"insufficient permissions: ` + want + action + `"}`
				if got := strings.TrimSpace(w.Body.String()); w.Code != 401 || method != "HEAD" && got != message {
					t.Errorf("%s without %s: %d %s, want 401 %s", id, needs[i], w.Code, got, message)
				}
			}
		}
	})
}

// Without rules nobody may do anything that needs a permission.
func TestNobodyMayDoAnythingWithoutRules(t *testing.T) {
	operations(t, func(id, method, target, body string) {
		w := newFixture(t, lifeless, func(c *Config) { c.Grants = nil }).do(method, target, body, nil)
		if len(needed[id]) > 0 && w.Code != 401 {
			t.Errorf("%s: %d %s", id, w.Code, w.Body)
		}
	})
}

// A grant of a prefix is for what lies below it, however a request spells it.
func TestSourcesAreComparedInTheFormInWhichTheyAreListed(t *testing.T) {
	const refused = `{"message":"insufficient permissions: not allowed to fs:ImportFromStorage"}`
	const denied = `{"message":"insufficient permissions: denied permission to fs:ImportFromStorage"}`
	const overwrite = `{"message":"insufficient permissions: denied permission to fs:WriteObject"}`
	rules := allowing(t,
		"fs:WriteObject repository/lake/branch/main", "fs:CreateCommit repository/lake/branch/main", "fs:WriteObject repository/lake/object/*",
		"fs:ImportFromStorage namespace/s3://lake/team-a/", "fs:ImportFromStorage namespace/s3://open/*",
		"deny fs:ImportFromStorage namespace/s3://open/secret/*", "deny fs:WriteObject repository/lake/object/gold/*")
	for _, x := range []struct {
		source, destination string
		code                int
		body                string
	}{
		{"s3://lake/team-a/", "", 401, overwrite},
		{"s3://lake/team-a/", "silver", 201, ""},
		{"s3://lake/team-a/sub/x", "silver/", 201, ""},
		{"s3://lake/team-a", "silver", 401, refused},
		{"s3://lake/team-a-secret/", "silver", 401, refused},
		{"s3://lake/", "silver", 401, refused},
		{"s3://lake", "silver", 401, refused},
		{"s3://lake/team-b/%2e%2e/team-a/", "silver", 401, refused},
		{"s3://lake/?x=/team-a/", "silver", 401, refused},
		{"s3://lake/#/team-a/", "silver", 401, refused},
		{"s3://lake//team-a/", "silver", 401, refused},
		{"S3://lake/team-a/", "silver", 400, ""},
		{"s3://lake@other/team-a/", "silver", 400, ""},
		{"s3://lake?x/team-a/", "silver", 400, ""},
		{"s3://lake#x/team-a/", "silver", 400, ""},
		{"s3://lake%2e%2e/team-a/", "silver", 400, ""},
		{"s3:///lake/team-a/", "silver", 400, ""},
		{"local:///lake/team-a/", "silver", 401, refused},
		{"local:///lake/../team-a/", "silver", 400, ""},
		{"s3://open/public/", "silver", 201, ""},
		{"s3://open/", "silver", 401, denied},
		{"s3://open/secret", "silver", 401, denied},
		{"s3://open/secret/x", "silver", 401, denied},
		{"s3://open/public/", "gold", 401, overwrite},
		{"s3://open/public/", "gold/x/", 401, overwrite},
		{"s3://open/public/", "gol", 201, ""},
	} {
		f := newFixture(t, ruled(rules))
		body, _ := json.Marshal(map[string]string{"source_uri": x.source, "prepend": x.destination})
		w := f.do("POST", importPath, string(body), nil)
		if got := strings.TrimSpace(w.Body.String()); w.Code != x.code || x.body != "" && got != x.body {
			t.Errorf("import %s to %q: %d %s, want %d %s", x.source, x.destination, w.Code, got, x.code, x.body)
		}
		if started := len(f.service.started.Paths) > 0; started != (x.code == 201) {
			t.Errorf("import %s to %q: started %t", x.source, x.destination, started)
		}
	}
}

// Whoever may write all objects and commit may not read any source, in lakeFS's own policies either.
func TestWritersMayNotImport(t *testing.T) {
	rules, err := access.ParseRules("rules.yaml", []byte("users:\n  - {id: joe, policies: [FSReadWriteAll]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range fiveOperations {
		want := `{"message":"insufficient permissions: not allowed to fs:ImportFromStorage"}`
		switch x.method {
		case "GET":
			continue // the status of an import may be read
		case "DELETE":
			want = strings.Replace(want, "ImportFromStorage", "ImportCancel", 1)
		}
		if strings.HasSuffix(x.target, "/metaranges") {
			want = strings.Replace(want, "ImportFromStorage", "CreateMetaRange", 1)
		}
		w := newFixture(t, ruled(rules), lifeless).do(x.method, x.target, x.body, nil)
		if got := strings.TrimSpace(w.Body.String()); w.Code != 401 || got != want {
			t.Errorf("%s %s: %d %s, want 401 %s", x.method, x.target, w.Code, got, want)
		}
	}
}

// The key of an object is that of the request, and of a commit with a tree it is every key.
func TestObjectsAndTrees(t *testing.T) {
	rules := allowing(t, "fs:ReadObject repository/lake/object/pub/*", "fs:CreateCommit repository/lake/branch/main", "fs:ReadBranch repository/lake/branch/main")
	const objects, commits = "/api/v1/repositories/lake/refs/main/objects/stat?path=", "/api/v1/repositories/lake/branches/main/commits"
	for _, x := range []exchange{
		{"below", "GET", objects + "pub/a", "", nil, 404, `{"message":"object not found"}`},
		{"escaped", "GET", objects + "pub%2Fa", "", nil, 404, `{"message":"object not found"}`},
		{"beside", "GET", objects + "public", "", nil, 401, `{"message":"insufficient permissions: not allowed to fs:ReadObject"}`},
		{"twice escaped", "GET", objects + "pub%252Fa", "", nil, 401, `{"message":"insufficient permissions: not allowed to fs:ReadObject"}`},
		{"a tree", "POST", commits + "?source_metarange=m2", `{"message":"m"}`, nil, 401, `{"message":"insufficient permissions: not allowed to fs:WriteObject"}`},
		{"another ref", "GET", "/api/v1/repositories/lake/refs/dev/commits", "", nil, 401, `{"message":"insufficient permissions: not allowed to fs:ReadBranch"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t, ruled(rules))
			f.service.tree = treeOf(t, "a")
			x.run(t, f)
		})
	}
	w := newFixture(t, ruled(rules)).do("GET", objects+"pub/a&path=secret", "", nil)
	if w.Code != 400 {
		t.Errorf("two paths: %d %s", w.Code, w.Body)
	}
}

// manyRepositories lists r00 to r99.
type manyRepositories struct{ Catalog }

func (manyRepositories) Repositories(_ context.Context, q catalog.RepositoryQuery) (page []catalog.Repository, more bool, err error) {
	for i := range 100 {
		if id := fmt.Sprintf("r%02d", i); id > q.After {
			if len(page) == q.Amount {
				return page, true, nil
			}
			page = append(page, catalog.Repository{ID: id, Created: created})
		}
	}
	return page, false, nil
}

// A list shows what the caller may see, in full pages, and no other names.
func TestListsShowWhatTheCallerMaySee(t *testing.T) {
	rules := allowing(t, "fs:ListRepositories repository/r?3", "deny fs:ListRepositories repository/r53", "fs:ReadBranch repository/lake/branch/main")
	f := newFixture(t, ruled(rules), func(c *Config) { c.Catalog = manyRepositories{} })
	var got []string
	for after, pages := "", 0; ; pages++ {
		var page api.RepositoryList
		text := f.do("GET", "/api/v1/repositories?amount=4&after="+after, "", nil).Body.Bytes()
		if err := json.Unmarshal(text, &page); err != nil || pages > 2 {
			t.Fatalf("page %d: %v %s", pages, err, text)
		}
		for _, r := range page.Results {
			got = append(got, r.ID)
		}
		if after = page.Pagination.NextOffset; !page.Pagination.HasMore {
			break
		} else if after != got[len(got)-1] {
			t.Errorf("next %q after %q", after, got)
		}
	}
	if want := "r03 r13 r23 r33 r43 r63 r73 r83 r93"; strings.Join(got, " ") != want {
		t.Errorf("listed %q, want %s", got, want)
	}
	for _, branch := range []string{"main", "dev"} {
		f.imports.records = append(f.imports.records, imports.Record{Job: imports.Job{ImportID: branch}, Request: imports.Request{Repository: "lake", Branch: branch, Caller: access.Caller{User: "joe"}}, State: imports.Running})
	}
	w := f.do("GET", "/api/v1/imports", "", http.Header{})
	if text := w.Body.String(); w.Code != 200 || strings.Contains(text, `"dev"`) || !strings.Contains(text, `"main"`) {
		t.Errorf("imports: %d %s", w.Code, text)
	}
}

// Beside a lakeFS server the rules judge sources alone, and nothing if there are none.
func TestRulesJudgeTheSourcesOfUsersOfALakeFSServer(t *testing.T) {
	lake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"user":{"id":"joe"},"commit_id":"c"}`))
	}))
	defer lake.Close()
	session, err := lakefs.Open(lakefs.Config{URL: lake.URL}, lakefs.Login{})
	if err != nil {
		t.Fatal(err)
	}
	none := func(c *Config) { c.Grants = nil }
	for _, x := range []struct {
		name, source string
		rules        func(*Config)
		code         int
	}{
		{"granted", "s3://lake/a/x", ruled(allowing(t, "fs:ImportFromStorage namespace/s3://lake/a/")), 201},
		{"not granted", "s3://lake/a", ruled(allowing(t, "fs:ImportFromStorage namespace/s3://lake/a/")), 401},
		{"no rules", "s3://lake/a", none, 201},
	} {
		f := newFixture(t, x.rules, func(c *Config) { c.Gate = lakefs.NewGate(session, time.Now) })
		w := f.do("POST", importPath, `{"source_uri":"`+x.source+`","prepend":""}`, nil)
		if w.Code != x.code || (len(f.service.started.Paths) > 0) != (x.code == 201) {
			t.Errorf("%s: %d %s, want %d", x.name, w.Code, w.Body, x.code)
		}
		if w := f.do("GET", importPath+"?id=x", "", nil); w.Code != 404 {
			t.Errorf("%s: the status of an import: %d %s", x.name, w.Code, w.Body)
		}
	}
}

// A storage namespace is compared in the form in which it is used, and is denied if anything in it is.
func TestNamespacesAreComparedAsTheyAreUsed(t *testing.T) {
	rules := allowing(t, "fs:CreateRepository repository/*", "fs:AttachStorageNamespace namespace/s3://meta/*", "fs:AttachStorageNamespace namespace/s3://own/repo",
		"deny fs:AttachStorageNamespace namespace/s3://meta/secret/*", "deny fs:AttachStorageNamespace namespace/s3://meta/top", "deny fs:AttachStorageNamespace namespace/s3://meta/deep/er/")
	for namespace, want := range map[string]int{
		"s3://meta/repo": 201, "s3://meta/repo/": 201, "s3://meta//repo//": 201, "s3://own/repo": 201, "s3://own/repo/": 201, "s3://meta/secretary": 201, "s3://meta/topic": 201,
		"s3://meta/secret/x": 401, "s3://meta//secret/x": 401, "s3://meta/secret": 401, "s3://meta/secret/": 401, "s3://meta///secret": 401,
		"s3://meta/top": 401, "s3://meta/top/": 401, "s3://meta//top": 401, "s3://meta/deep/er": 401, "s3://meta/deep/er/x": 401, "s3://meta/deep": 401, "s3://meta": 401, "s3://meta/": 401,
		"s3://own/repo2": 401, "s3://own": 401, "s3://own/repo/x": 401,
	} {
		w := newFixture(t, ruled(rules)).do("POST", "/api/v1/repositories", `{"name":"pond","storage_namespace":"`+namespace+`"}`, nil)
		if w.Code != want {
			t.Errorf("%s: %d %s, want %d", namespace, w.Code, w.Body, want)
		}
	}
}

// What the settings say of sources is in no answer to whoever may not read it, and else in both.
func TestTheConfigurationOfTheStorageNeedsAPermission(t *testing.T) {
	storage := func(c *Config) { c.Storage.Local = []string{"/srv/private"} }
	for shown, rules := range map[bool]*access.Rules{false: allowing(t, "fs:ListRepositories *"), true: allowing(t, "fs:ReadConfig *")} {
		w := newFixture(t, ruled(rules), storage).do("GET", "/api/v1/config", "", nil)
		if w.Code != 200 || strings.Contains(w.Body.String(), "private") != shown || !strings.Contains(w.Body.String(), `"version":`) {
			t.Errorf("shown is to be %t: %d %s", shown, w.Code, w.Body)
		}
	}
}

// A branch that may not be read has no log by another ref that starts with it.
func TestALogNeedsTheBranchThatTheRefStartsWith(t *testing.T) {
	f := newFixture(t, ruled(allowing(t, "fs:ReadBranch repository/lake/branch/*", "deny fs:ReadBranch repository/lake/branch/secret")))
	only := newFixture(t, ruled(allowing(t, "fs:ReadBranch repository/lake/branch/main")))
	for ref, denied := range map[string]bool{"main": false, "main~1": false, "secret": true, "secret~0": true, "secret%5E0": true, "secret@": true, "secret~1%5E2": true, "secre": false} {
		target := "/api/v1/repositories/lake/refs/" + ref + "/commits"
		if w := f.do("GET", target, "", nil); (w.Code == 401) != denied {
			t.Errorf("%s: %d %s", ref, w.Code, w.Body)
		}
		if w := only.do("GET", target, "", nil); (w.Code == 401) != !strings.HasPrefix(ref, "main") {
			t.Errorf("%s with main alone: %d %s", ref, w.Code, w.Body)
		}
	}
}

// Beside a lakeFS server only imports and trees are served here, however a path is spelled: that
// server judges the callers of these, and nobody those of the others.
func TestOtherOperationsAreNotServedBesideALakeFSServer(t *testing.T) {
	session, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Transport: saying{200, `{"user":{"id":"joe"}}`}}, lakefs.Login{})
	if err != nil {
		t.Fatal(err)
	}
	lake := func(c *Config) { c.Grants, c.Gate = nil, lakefs.NewGate(session, time.Now) }
	served := []string{"importStart", "importStatus", "importCancel", "listImports", "verifyMetaRange", "compareMetaRange"}
	operations(t, func(id, method, target, body string) {
		path, query, _ := strings.Cut(target, "?")
		spelled := regexp.MustCompile(`/\w`).ReplaceAllStringFunc(path, func(s string) string { return fmt.Sprintf("/%%%02x", s[1]) })
		for _, path := range []string{path, spelled, strings.Replace(path, "/v1/", "/%761/", 1)} {
			w := newFixture(t, lifeless, lake).do(method, path+"?"+query, body, nil)
			refused := w.Code == 404 && (method == "HEAD" || strings.Contains(w.Body.String(), "it is one of the lakeFS server")) || id == "trySource" && w.Code == 501
			if refused == slices.Contains(served, id) {
				t.Errorf("%s: %s %s: %d %s", id, method, path, w.Code, w.Body)
			}
		}
	})
	f := newFixture(t, lake)
	if w := f.do("PUT", importPath, "", nil); w.Code != 405 {
		t.Errorf("another method: %d %s", w.Code, w.Body)
	}
	for _, target := range []string{"/api/v1/auth/login", "/api/%761/auth/login", "/api/%761/healthcheck", "/api/v1/nothing", "/api/v1/"} {
		if w := f.do("POST", target, "{}", nil); w.Code != 404 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// The imports of other users are hidden, unless a permission to manage them is granted.
func TestImportsOfOtherUsers(t *testing.T) {
	const gone = `{"message":"not found"}`
	branch := []string{"fs:ReadBranch repository/lake/branch/*", "fs:ImportCancel repository/lake/branch/*"}
	hidden := allowing(t, branch...)
	shown := allowing(t, append(branch, "fs:ManageImports repository/lake/branch/main")...)
	for _, x := range []struct {
		name, user string
		rules      *access.Rules
		seen       bool
	}{
		{"own", "joe", hidden, true},
		{"of another user", "ann", hidden, false},
		{"of the administrator, before there were users", "", hidden, false},
		{"of another user, managed", "ann", shown, true},
	} {
		f := newFixture(t, ruled(x.rules))
		st := statusIn(imports.Running)
		st.Record.Job.ImportID = "x"
		st.Record.Request.Committer, st.Record.Request.Caller.User = "RFKEY", x.user
		f.service.statuses["x"] = st
		f.imports.records = []imports.Record{st.Record}
		status, cancel, list := f.do("GET", importPath+"?id=x", "", nil), f.do("DELETE", importPath+"?id=x", "", nil), f.do("GET", "/api/v1/imports", "", nil)
		if listed := strings.Contains(list.Body.String(), `"id":"x"`); listed != x.seen {
			t.Errorf("%s: listed %t: %s", x.name, listed, list.Body)
		}
		if x.seen && (status.Code != 200 || cancel.Code != 204) {
			t.Errorf("%s: status %d, cancel %d", x.name, status.Code, cancel.Code)
		}
		if x.seen {
			continue
		}
		if status.Code != 404 || cancel.Code != 404 || strings.TrimSpace(status.Body.String()) != gone || strings.TrimSpace(cancel.Body.String()) != gone || len(f.service.canceled) > 0 {
			t.Errorf("%s: status %d %s, cancel %d %s, canceled %q", x.name, status.Code, status.Body, cancel.Code, cancel.Body, f.service.canceled)
		}
	}
}

// The record of an import has who started it, with what it showed.
func TestAnImportKnowsWhoStartedIt(t *testing.T) {
	f := newFixture(t)
	f.do("POST", importPath, bodies["importStart"], nil)
	got := f.service.started.Request
	if c := got.StartedBy(); got.Committer != access.Admin || c.User != access.Admin || c.Credential != (access.Credential{Kind: access.AccessKey, ID: testKey}) {
		t.Errorf("started %+v", got)
	}
}
