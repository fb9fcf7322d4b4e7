package access

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

const sample = `
# Team A imports its own part of the lake.
policies:
  - id: ImportTeamA
    statement:
      - effect: allow
        action: [fs:ImportFromStorage, "fs:ImportCancel"]
        resource:
          - arn:lakefs:fs:::namespace/s3://lake/team-a/
          - arn:lakefs:fs:::repository/lake/branch/main
      - effect: allow
        action: ["fs:*"]
        resource: arn:lakefs:fs:::repository/${user}-*
  - {"id": "FromLakeFS", "statement": [{"effect": "deny", "action": ["fs:Delete*"], "resource": "[\"arn:lakefs:fs:::repository/lake\", \"arn:lakefs:fs:::repository/pond\"]"}]}
groups:
  - id: TeamA
    policies: [ImportTeamA, FSReadAll]
    members: [alice, "oidc:https://idp|bob"]
  - id: Admins
    members: [root]
users:
  - id: alice
    policies: [FromLakeFS]
  - id: saml:urn:idp|eve
    policies: [FSReadAll]
mappings:
  - issuer: https://idp
    claim: groups
    value: engineers
    group: TeamA
  - issuer: https://idp
    claim: roles
    value: root
    group: Admins
`

func parsed(t *testing.T, text string) *Rules {
	t.Helper()
	r, err := ParseRules("access.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRules(t *testing.T) {
	r := parsed(t, sample)
	external := func(p Provider, iss, sub string) string {
		name, err := ExternalUser(p, iss, sub)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	bob := external(OIDC, "https://idp", "bob")
	source := On(ImportFromStorage, Source("s3://lake/team-a/x/", true))
	read := On(ReadRepository, Repository("lake"))
	remove := On(DeleteRepository, Repository("lake"))
	for _, tc := range []struct {
		user   string
		groups []string
		need   Need
		want   bool
	}{
		{Admin, nil, remove, true},
		{"root", nil, remove, true},
		{"alice", nil, source, true},
		{"alice", nil, read, true},
		{"alice", nil, remove, false},
		{"alice", nil, On(DeleteRepository, Repository("alice-1")), true},
		{"alice", nil, On(DeleteRepository, Repository("bob-1")), false},
		{"alice", []string{admins}, On(DeleteRepository, Repository("bob-1")), true},
		{"alice", []string{admins}, On(DeleteRepository, Repository("pond")), false},
		{bob, nil, source, true},
		{bob, nil, On(ReadRepository, Repository(bob+"-1")), true},
		{external(SAML, "https://idp", "bob"), nil, source, false},
		{external(OIDC, "https://other", "bob"), nil, source, false},
		{"bob", nil, read, false},
		{"bob", []string{"TeamA"}, source, true},
		{"bob", []string{"teama", "Unknown", "AllAccess"}, source, false},
		{external(SAML, "urn:idp", "eve"), nil, read, true},
		{"", []string{admins}, read, false},
		{"*", []string{admins}, read, false},
		{"a/b", []string{admins}, read, false},
		{"oidc:https://idp|bob", []string{admins}, read, false},
	} {
		err := r.Of(Caller{User: tc.user, Groups: tc.groups}).Check(tc.need)
		if (err == nil) != tc.want {
			t.Errorf("%q in %q: %+v: %v", tc.user, tc.groups, tc.need, err)
		}
	}
}

func TestClaimsAreMappedToGroups(t *testing.T) {
	r := parsed(t, sample)
	for _, tc := range []struct {
		issuer string
		claims map[string][]string
		want   string
	}{
		{"https://idp", nil, ""},
		{"https://idp", map[string][]string{"groups": {"engineers", "Admins"}}, "TeamA"},
		{"https://idp", map[string][]string{"groups": {"root"}, "roles": {"engineers"}}, ""},
		{"https://idp", map[string][]string{"groups": {"engineers"}, "roles": {"x", "root"}}, "TeamA,Admins"},
		{"https://idp/", map[string][]string{"groups": {"engineers"}}, ""},
		{"https://other", map[string][]string{"groups": {"engineers"}, "roles": {"root"}}, ""},
	} {
		if got := strings.Join(r.Mapped(tc.issuer, tc.claims), ","); got != tc.want {
			t.Errorf("%s, %v: %s, want %s", tc.issuer, tc.claims, got, tc.want)
		}
	}
}

// inStatement returns a file with one statement.
func inStatement(fields string) string {
	return "policies:\n- id: P\n  statement:\n  - {" + fields + "}\n"
}

// Every fault names the line, the field and the value.
func TestFaultsOfFiles(t *testing.T) {
	const on = `resource: "*"`
	for name, tc := range map[string]struct{ text, want string }{
		"no YAML":              {"a: [", "did not find expected node content"},
		"a text":               {"x", "access.yaml:1: want a mapping of policies, groups, users, mappings"},
		"two documents":        {"users: []\n---\nusers: []", "want one YAML document"},
		"unknown part":         {"roles: []", `access.yaml:1: unknown field "roles": want policies, groups, users, mappings`},
		"a part twice":         {"users: []\nusers: []", `access.yaml:2: "users" is already set on line 1`},
		"not a list":           {"users: {}", "access.yaml:1: users: want a list"},
		"a field as list":      {"? [a]\n: b", `unknown field ""`},
		"an alias":             {"users: &a []\ngroups: *a", "access.yaml:2: groups: want a list"},
		"policy without ID":    {"policies:\n- statement: []", "access.yaml:2: policies[0].id: missing"},
		"ID null":              {"policies:\n- id:", "access.yaml:2: policies[0].id: want a text"},
		"invalid ID":           {"groups:\n- id: a/b", `access.yaml:2: groups[0].id: "a/b": want 1 to 128 letters`},
		"unknown field":        {"groups:\n- {id: a, acl: b}", `access.yaml:2: groups[0]: unknown field "acl": want id, policies, members`},
		"no statement":         {"policies:\n- id: P", "access.yaml:2: policies[0].statement: want one statement at least"},
		"built in":             {"policies:\n- id: FSReadAll\n  statement: []", `access.yaml:2: policies[0].id: "FSReadAll": this policy is built in`},
		"policy twice":         {inStatement("effect: allow, action: ['fs:*'], "+on) + inStatement("effect: allow, action: ['fs:*'], " + on)[len("policies:\n"):], "access.yaml:5: policies[1]: the policy P is already on line 2"},
		"condition":            {inStatement("effect: allow, action: ['fs:*'], condition: {}, " + on), "access.yaml:4: policies[0].statement[0]: condition: conditions are not supported"},
		"effect":               {inStatement("effect: Allow, action: ['fs:*'], " + on), `policies[0].statement[0].effect: "Allow": want allow or deny`},
		"no effect":            {inStatement("action: ['fs:*'], " + on), "policies[0].statement[0].effect: missing"},
		"no action":            {inStatement("effect: deny, " + on), "policies[0].statement[0].action: want one at least"},
		"actions null":         {inStatement("effect: deny, action: , " + on), "policies[0].statement[0].action: want one at least"},
		"no resources in JSON": {inStatement("effect: deny, action: ['fs:*'], resource: '[]'"), "policies[0].statement[0].resource: want one at least"},
		"no actions":           {inStatement("effect: deny, action: [], " + on), "policies[0].statement[0].action: want one at least"},
		"action as text":       {inStatement("effect: deny, action: 'fs:*', " + on), "policies[0].statement[0].action: want a list"},
		"action without name":  {inStatement("effect: deny, action: ['*'], " + on), `action[0]: "*": want <service>:<action>, such as fs:ReadObject or fs:*`},
		"unknown service":      {inStatement("effect: deny, action: ['s3:*'], " + on), `action[0]: "s3:*": the service "s3" is unknown`},
		"unknown action":       {inStatement("effect: deny, action: ['fs:CancelImport'], " + on), `action[0]: "fs:CancelImport": no action of the service fs matches`},
		"action twice":         {inStatement("effect: deny, action: ['fs:*', 'fs:*'], " + on), `action[1]: "fs:*" is already in the list`},
		"long action":          {inStatement("effect: deny, action: ['fs:" + strings.Repeat("*", limits.Pattern) + "'], " + on), "2051 bytes, at most 2048 are allowed"},
		"no resource":          {inStatement("effect: deny, action: ['fs:*']"), "policies[0].statement[0].resource: want one at least"},
		"no resources":         {inStatement("effect: deny, action: ['fs:*'], resource: []"), "policies[0].statement[0].resource: want one at least"},
		"no ARN":               {inStatement("effect: deny, action: ['fs:*'], resource: lake"), `resource: "lake": want an ARN of six fields`},
		"ARN of AWS":           {inStatement("effect: deny, action: ['fs:*'], resource: ['arn:aws:s3:::b']"), `resource[0]: "arn:aws:s3:::b": want an ARN of the partition lakefs`},
		"ARN in JSON":          {inStatement(`effect: deny, action: ['fs:*'], resource: '["*","x"]'`), `resource[1]: "x": want an ARN`},
		"ARN in broken JSON":   {inStatement(`effect: deny, action: ['fs:*'], resource: '["*"'`), `resource: "[\"*\"": want an ARN`},
		"service of an ARN":    {inStatement("effect: deny, action: ['fs:*'], resource: 'arn:lakefs:*:::*'"), `the service "*" has no resources`},
		"account":              {inStatement("effect: deny, action: ['fs:*'], resource: 'arn:lakefs:fs::1:*'"), `the account "1": no resource has one`},
		"kind of resource":     {inStatement("effect: deny, action: ['fs:*'], resource: 'arn:lakefs:fs:::repo/lake'"), "want a resource of fs that starts with repository/ or namespace/"},
		"variable":             {inStatement("effect: deny, action: ['fs:*'], resource: 'arn:lakefs:fs:::repository/${group}'"), "${user} is the only variable"},
		"unknown policy":       {"groups:\n- id: G\n  policies: [FSReadAll, Gone]", `access.yaml:3: groups[0].policies[1]: "Gone": there is no such policy`},
		"group twice":          {"groups: [{id: G}, {id: G}]", "groups[1]: the group G is already on line 1"},
		"policies of Admins":   {"groups: [{id: Admins, policies: [FSReadAll]}]", "groups[0].policies: the group Admins has the policy AllAccess and no other"},
		"member":               {"groups: [{id: G, members: ['*']}]", `groups[0].members[0]: "*": want 1 to 128 letters`},
		"external member":      {"groups: [{id: G, members: ['oidc:bob']}]", `groups[0].members[0]: "oidc:bob": want oidc:<issuer>|<subject>`},
		"user twice":           {"users: [{id: a}, {id: a}]", "users[1]: the user a is already on line 1"},
		"policy of a user":     {"users: [{id: a, policies: [x]}]", `users[0].policies[0]: "x": there is no such policy`},
		"group of a mapping":   {"mappings: [{issuer: i, claim: c, value: v, group: G}]", `mappings[0].group: "G": there is no such group`},
		"claim of a mapping":   {"mappings: [{issuer: i, claim: '', value: v, group: admins}]", `mappings[0].claim: "": want a text`},
		"issuer of a mapping":  {"mappings: [{issuer: 'a b', claim: c, value: v, group: admins}]", `mappings[0].issuer: "a b": want 1 to 256 visible ASCII characters`},
		"mapping twice":        {"mappings: [{issuer: i, claim: c, value: v, group: admins}, {issuer: i, claim: c, value: v, group: admins}]", "is already on line 1"},
		"a large file":         {strings.Repeat(" ", limits.AccessFile+1), "1048577 bytes, at most 1048576 are allowed"},
		"too many users":       {"users: [" + strings.Repeat("1,", limits.AccessItems) + "1]", "users: 10001 elements, at most 10000 are allowed"},
		"too many faults":      {"users: [" + strings.Repeat("1,", 60) + "1]", "and 11 more"},
		"all faults are there": {"users: [{id: a/b}]\nroles: 1", `users[0].id: "a/b"`},
	} {
		r, err := ParseRules("access.yaml", []byte(tc.text))
		if r != nil || err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "access.yaml:") {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	if _, err := ParseRules("access.yaml", []byte("users: [{id: a/b}]\nroles: 1")); err == nil || strings.Count(err.Error(), "access.yaml:") != 2 {
		t.Errorf("two faults: %v", err)
	}
}

// Whatever is in a file, it gives neither grants to a user that it does not name, nor more grants
// than its policies have.
func FuzzRules(f *testing.F) {
	for _, text := range []string{
		sample, "", "users: [{id: a, policies: [AllAccess]}]", "groups: [{id: Admins, members: [a]}]", "a: &a [*a]", "{", "!!binary eA==: x",
		inStatement(`effect: allow, action: ["fs:*"], resource: '["*"]'`),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRules("access.yaml", text)
		if (err == nil) == (r == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > maxFaults*10_000 {
				t.Errorf("the error has %d bytes: %.1000q", len(err.Error()), err)
			}
			return
		}
		n := On(DeleteRepository, Repository("lake"))
		if err := r.Of(Caller{User: Admin, Groups: []string{admins}}).Check(n); err != nil && !strings.Contains(err.Error(), "denied") {
			t.Errorf("the admin: %v", err)
		}
		checkNames(t, r)
		if name := "nobody-" + fmt.Sprint(len(text)); r.users[name] == nil && r.members[name] == nil && r.Of(Caller{User: name}).Check(n) == nil {
			t.Errorf("%s may delete a repository", name)
		}
	})
}

// checkNames checks that rules name only valid users and groups that are defined.
func checkNames(t *testing.T, r *Rules) {
	t.Helper()
	for name := range r.users {
		if checkUser(name) != nil {
			t.Errorf("%q has policies", name)
		}
	}
	for name, groups := range r.members {
		for _, group := range groups {
			if _, ok := r.groups[group]; !ok || checkUser(name) != nil {
				t.Errorf("%q is in %q", name, group)
			}
		}
	}
}
