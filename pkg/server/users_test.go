package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

const usersPath = "/api/v1/auth/users"

// household is a server with the users ann and bob, who may manage their own keys, and the rules of
// them. Everybody logs in by an access key of the store.
type household struct {
	*fixture
	login map[string]http.Header // by user
	key   map[string]string      // IDs, by user
	all   []string               // secrets
}

const householdRules = `
policies:
  - id: ImportA
    statement:
      - effect: allow
        action: ["fs:ImportFromStorage"]
        resource: ["arn:lakefs:fs:::namespace/s3://a/", "arn:lakefs:fs:::namespace/s3://<b>/"]
      - {effect: deny, action: ["fs:Read*"], resource: "*"}
groups:
  - {id: TeamA, policies: [ImportA, FSReadAll], members: [ann, nobody]}
users:
  - {id: ann, policies: [AuthManageOwnCredentials]}
  - {id: bob, policies: [AuthManageOwnCredentials, FSReadAll]}
`

func newHousehold(t *testing.T, change ...func(*Config)) *household {
	t.Helper()
	rules, err := access.ParseRules("access.yaml", []byte(householdRules))
	expect.NoError(t, err)
	h := &household{login: make(map[string]http.Header), key: make(map[string]string)}
	h.fixture = newFixture(t, func(c *Config) {
		for _, f := range change {
			f(c)
		}
		c.Auth = authenticatorOf(t, c)
		c.Rules = func() *access.Rules { return rules }
		c.Grants = func(_ context.Context, c access.Caller) (access.Grants, error) { return rules.Of(c), nil }
	})
	expect.NoError(t, h.users.Adopt(t.Context(), users.Secret{}))
	for _, user := range []string{access.Admin, "ann", "bob"} {
		if user != access.Admin {
			_, err := h.users.Create(t.Context(), user, users.SourceLocal)
			expect.NoError(t, err)
		}
		key, secret, err := h.users.Keys().Create(t.Context(), user)
		expect.NoError(t, err)
		h.all = append(h.all, secret)
		h.key[user], h.login[user] = key.ID, http.Header{"Authorization": {basic(key.ID, secret)}}
	}
	return h
}

// want sends a request as a user and compares the answer, in which KEY is the user's access key.
func (h *household) want(t *testing.T, user, method, target, body string, code int, answer string) *httptest.ResponseRecorder {
	t.Helper()
	w := h.do(method, target, body, h.login[user])
	got := strings.TrimSpace(w.Body.String())
	if w.Code != code || answer != "" && got != answer {
		t.Errorf("%s: %s %s: %d %s, want %d %s", user, method, target, w.Code, got, code, answer)
	}
	return w
}

// create makes an access key of a user as another one.
func (h *household) create(t *testing.T, by, user string) (key api.CredentialsWithSecret) {
	t.Helper()
	w := h.want(t, by, "POST", usersPath+"/"+user+"/credentials", "", 201, "")
	expect.NoError(t, json.Unmarshal(w.Body.Bytes(), &key))
	if key.CreationDate != created.Unix() || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("created %+v, %v", key, w.Header())
	}
	h.all = append(h.all, key.SecretAccessKey)
	return key
}

func TestUsers(t *testing.T) {
	h := newHousehold(t)
	zoe := fmt.Sprintf(`{"creation_date":%d,"friendly_name":"zoe","id":"zoe"}`, created.Unix())
	h.want(t, access.Admin, "POST", usersPath, `{"id":"zoe"}`, 201, zoe)
	h.want(t, access.Admin, "POST", usersPath, `{"id":"zoe"}`, 409, `{"message":"user \"zoe\" exists already"}`)
	h.want(t, access.Admin, "POST", usersPath, `{}`, 400, `{"message":"request body has an error: id: value is required but missing"}`)
	h.want(t, access.Admin, "POST", usersPath, `{"id":"eve","invite_user":true}`, 400, "")
	for _, name := range []string{"", "*", "a/b", "${user}", "oidc:i=7Cann", "a b"} {
		h.want(t, access.Admin, "POST", usersPath, fmt.Sprintf(`{"id":%q}`, name), 400, "")
	}
	h.want(t, access.Admin, "GET", usersPath+"/zoe", "", 200, zoe)
	h.want(t, access.Admin, "GET", usersPath+"?prefix=z", "", 200,
		`{"pagination":{"has_more":false,"max_per_page":1000,"next_offset":"","results":1},"results":[`+zoe+`]}`)
	var page api.UserList
	w := h.want(t, access.Admin, "GET", usersPath+"?amount=2", "", 200, "")
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Results) != 2 || page.Pagination.NextOffset != "ann" {
		t.Errorf("a page: %v %s", err, w.Body)
	}
	h.want(t, access.Admin, "DELETE", usersPath+"/zoe", "", 204, "")
	h.want(t, access.Admin, "DELETE", usersPath+"/zoe", "", 404, `{"message":"user not found"}`)
	h.want(t, access.Admin, "DELETE", usersPath+"/admin", "", 409, `{"message":"user \"admin\" cannot be deleted"}`)
	h.want(t, access.Admin, "DELETE", usersPath+"/ann", "", 204, "")
	h.want(t, "ann", "GET", "/api/v1/user", "", 401, "")
	h.want(t, access.Admin, "GET", usersPath+"/ann/credentials/"+h.key["ann"], "", 404, `{"message":"user not found"}`)
}

func TestAccessKeysAreRotated(t *testing.T) {
	h := newHousehold(t)
	key := h.create(t, "ann", "ann")
	if ok := h.do("GET", "/api/v1/user", "", http.Header{"Authorization": {basic(key.AccessKeyID, key.SecretAccessKey)}}); ok.Code != 200 {
		t.Errorf("the new key: %d %s", ok.Code, ok.Body)
	}
	keys := usersPath + "/ann/credentials"
	shown := func(id string) string {
		return fmt.Sprintf(`{"access_key_id":%q,"creation_date":%d}`, id, created.Unix())
	}
	h.want(t, "ann", "GET", keys+"/"+key.AccessKeyID, "", 200, shown(key.AccessKeyID))
	h.want(t, "ann", "GET", keys+"?prefix="+key.AccessKeyID, "", 200,
		`{"pagination":{"has_more":false,"max_per_page":1000,"next_offset":"","results":1},"results":[`+shown(key.AccessKeyID)+`]}`)
	var first, second api.CredentialsList
	expect.NoError(t, json.Unmarshal(h.want(t, "ann", "GET", keys+"?amount=1", "", 200, "").Body.Bytes(), &first))
	expect.NoError(t, json.Unmarshal(h.want(t, "ann", "GET", keys+"?after="+first.Pagination.NextOffset, "", 200, "").Body.Bytes(), &second))
	if len(first.Results) != 1 || len(second.Results) != 1 || first.Results[0].AccessKeyID >= second.Results[0].AccessKeyID {
		t.Errorf("pages %+v, %+v", first, second)
	}
	h.want(t, "ann", "DELETE", keys+"/"+h.key["ann"], "", 204, "")
	h.want(t, "ann", "GET", "/api/v1/user", "", 401, `{"message":"error authenticating request"}`)
	for range 9 {
		h.create(t, access.Admin, "ann")
	}
	h.want(t, access.Admin, "POST", keys, "", 409, "")
}

// The administrator cannot be locked out, nor can a user touch the keys of another one.
func TestKeysThatCannotBeDeleted(t *testing.T) {
	h := newHousehold(t)
	admin, ann, bob := usersPath+"/admin/credentials", usersPath+"/ann/credentials", usersPath+"/bob/credentials"
	h.want(t, access.Admin, "DELETE", admin+"/"+h.key[access.Admin], "", 409,
		`{"message":"access key \"`+h.key[access.Admin]+`\" is the last one of user \"admin\": create another one first"}`)
	for _, target := range []string{admin + "/" + h.key[access.Admin], bob + "/" + h.key["bob"], bob + "/RFNONE", usersPath + "/none/credentials/RFNONE"} {
		h.want(t, "ann", "GET", target, "", 401, `{"message":"insufficient permissions: not allowed to auth:ReadCredentials"}`)
		h.want(t, "ann", "DELETE", target, "", 401, `{"message":"insufficient permissions: not allowed to auth:DeleteCredentials"}`)
	}
	for _, list := range []string{admin, bob, usersPath + "/none/credentials", usersPath + "/*/credentials", usersPath + "/$%7Buser%7D/credentials"} {
		h.want(t, "ann", "GET", list, "", 401, `{"message":"insufficient permissions: not allowed to auth:ListCredentials"}`)
		h.want(t, "ann", "POST", list, "", 401, `{"message":"insufficient permissions: not allowed to auth:CreateCredentials"}`)
	}
	for _, by := range []string{"ann", access.Admin} { // by the path of a user who does not have it
		h.want(t, by, "GET", ann+"/"+h.key["bob"], "", 404, `{"message":"access key not found"}`)
		h.want(t, by, "DELETE", ann+"/"+h.key["bob"], "", 404, `{"message":"access key not found"}`)
	}
	for user := range h.key {
		h.want(t, user, "GET", "/api/v1/user", "", 200, "")
	}
	h.create(t, access.Admin, access.Admin)
	h.want(t, access.Admin, "DELETE", admin+"/"+h.key[access.Admin], "", 204, "")
}

// A caller that may not see users does not learn which users exist.
func TestUsersAreHidden(t *testing.T) {
	h := newHousehold(t)
	for _, user := range []string{"bob", "none", "ann"} {
		for _, rest := range []string{"", "/groups", "/policies", "/policies?effective=true"} {
			h.want(t, "ann", "GET", usersPath+"/"+user+rest, "", 401, `{"message":"insufficient permissions: not allowed to auth:ReadUser"}`)
		}
		h.want(t, "ann", "DELETE", usersPath+"/"+user, "", 401, `{"message":"insufficient permissions: not allowed to auth:DeleteUser"}`)
		h.want(t, "ann", "POST", usersPath, `{"id":"`+user+`"}`, 401, `{"message":"insufficient permissions: not allowed to auth:CreateUser"}`)
	}
	for _, id := range []string{"TeamA", "none"} {
		for _, rest := range []string{"", "/members", "/policies"} {
			h.want(t, "ann", "GET", "/api/v1/auth/groups/"+id+rest, "", 401, `{"message":"insufficient permissions: not allowed to auth:ReadGroup"}`)
		}
		h.want(t, "ann", "GET", "/api/v1/auth/policies/"+id, "", 401, `{"message":"insufficient permissions: not allowed to auth:ReadPolicy"}`)
	}
}

// A secret is in the answer that made it, and nowhere else.
func TestSecretsAreShownOnce(t *testing.T) {
	h := newHousehold(t)
	key := h.create(t, access.Admin, "ann")
	h.login["new"] = http.Header{"Authorization": {basic(key.AccessKeyID, key.SecretAccessKey)}}
	var said strings.Builder
	for _, user := range []string{access.Admin, "new"} {
		for _, name := range []string{"admin", "ann", "none"} {
			for _, target := range []string{"", "/credentials", "/credentials/" + key.AccessKeyID, "/credentials/" + key.SecretAccessKey, "/groups", "/policies"} {
				said.WriteString(h.do("GET", usersPath+"/"+name+target, "", h.login[user]).Body.String())
			}
		}
		said.WriteString(h.do("GET", usersPath, "", h.login[user]).Body.String())
	}
	said.WriteString(h.do("GET", usersPath, "", http.Header{"Authorization": {basic(key.SecretAccessKey, key.AccessKeyID)}}).Body.String())
	said.WriteString(h.do("DELETE", usersPath+"/ann/credentials/"+key.SecretAccessKey, "", h.login["new"]).Body.String())
	said.WriteString(h.do("DELETE", usersPath+"/ann/credentials/"+key.AccessKeyID, "", h.login["new"]).Body.String())
	for i, secret := range h.all {
		if strings.Contains(said.String(), secret) || strings.Contains(h.log.String(), secret) {
			t.Errorf("secret %d is shown", i)
		}
	}
	for _, line := range []string{
		`"msg":"access key created","user":"ann","access_key_id":"` + key.AccessKeyID + `","by":"admin"`,
		`"msg":"access key revoked","user":"ann","access_key_id":"` + key.AccessKeyID + `","by":"ann"`,
	} {
		if !strings.Contains(h.log.String(), line) {
			t.Errorf("the log lacks %s", line)
		}
	}
}

func TestGroupsAndPoliciesOfTheRules(t *testing.T) {
	h := newHousehold(t)
	ids := func(target string) string {
		t.Helper()
		var list struct{ Results []struct{ ID string } }
		expect.NoError(t, json.Unmarshal(h.want(t, access.Admin, "GET", "/api/v1/auth/"+target, "", 200, "").Body.Bytes(), &list))
		var all []string
		for _, r := range list.Results {
			all = append(all, r.ID)
		}
		return strings.Join(all, " ")
	}
	for target, want := range map[string]string{
		"groups":                            "Admins TeamA",
		"groups?after=Admins":               "TeamA",
		"groups/TeamA/members":              "ann nobody",
		"groups/TeamA/members?amount=1":     "ann",
		"groups/Admins/members":             "admin",
		"groups/TeamA/policies":             "FSReadAll ImportA",
		"users/ann/groups":                  "TeamA",
		"users/bob/groups":                  "",
		"users/ann/policies":                "AuthManageOwnCredentials",
		"users/ann/policies?effective=true": "AuthManageOwnCredentials FSReadAll ImportA",
		"users/admin/policies":              "",
		"users/admin/policies?effective=1":  "AllAccess",
		"policies?prefix=Import":            "ImportA",
		"policies?prefix=FSRead&amount=1":   "FSReadAll",
	} {
		if got := ids(target); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	h.want(t, access.Admin, "GET", "/api/v1/auth/groups/TeamA", "", 200, `{"creation_date":0,"id":"TeamA","name":"TeamA"}`)
	h.want(t, access.Admin, "GET", "/api/v1/auth/policies/ImportA", "", 200,
		`{"creation_date":0,"id":"ImportA","statement":[{"action":["fs:ImportFromStorage"],"effect":"allow",`+
			`"resource":"[\"arn:lakefs:fs:::namespace/s3://a/\",\"arn:lakefs:fs:::namespace/s3://<b>/\"]"},`+
			`{"action":["fs:Read*"],"effect":"deny","resource":"*"}]}`)
	for target, message := range map[string]string{
		"groups/none": "group not found", "groups/none/members": "group not found", "groups/none/policies": "group not found",
		"users/nobody/groups": "user not found", "users/nobody/policies": "user not found", "policies/none": "policy not found",
	} {
		h.want(t, access.Admin, "GET", "/api/v1/auth/"+target, "", 404, `{"message":"`+message+`"}`)
	}
	h.want(t, access.Admin, "PUT", "/api/v1/auth/users/ann/policies/AllAccess", "", 501,
		`{"message":"attachPolicyToUser is not supported: groups and policies are those of a file of rules: edit access.file"}`)
}

// Beside a lakeFS server users are those of that server.
func TestUsersOfALakeFSServer(t *testing.T) {
	session, err := lakefs.Open(lakefs.Config{URL: "http://127.0.0.1:1"}, lakefs.Login{})
	expect.NoError(t, err)
	f := newFixture(t, lifeless, func(c *Config) { c.Gate = lakefs.NewGate(session, time.Now) })
	if w := f.do("POST", "/api/v1/sources/trials", `{"source":"s3://b/"}`, nil); w.Code != 501 || !strings.Contains(w.Body.String(), "rangectl doctor --config") {
		t.Errorf("a trial: %d %s", w.Code, w.Body)
	}
	for _, target := range []string{"users", "users/ann/credentials", "groups", "policies/FSReadAll"} {
		if w := f.do("GET", "/api/v1/auth/"+target, "", nil); w.Code != 404 || !strings.Contains(w.Body.String(), "it is one of the lakeFS server") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}
