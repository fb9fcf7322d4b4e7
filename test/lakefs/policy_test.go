package lakefs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/treeverse/lakefs/pkg/auth"
	"github.com/treeverse/lakefs/pkg/auth/model"
	"github.com/treeverse/lakefs/pkg/auth/setup"
	"github.com/treeverse/lakefs/pkg/permissions"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/access"
)

// rules returns the rules of a user with some policies, which are in the format of lakeFS.
func rules(t *testing.T, user string, policies []*model.Policy, attached ...string) *access.Rules {
	t.Helper()
	type statement struct {
		Effect   string   `json:"effect"`
		Action   []string `json:"action"`
		Resource string   `json:"resource"`
	}
	var defined []map[string]any
	for _, p := range policies {
		var statements []statement
		for _, s := range p.Statement {
			statements = append(statements, statement{s.Effect, s.Action, s.Resource})
		}
		defined = append(defined, map[string]any{"id": p.DisplayName, "statement": statements})
		attached = append(attached, p.DisplayName)
	}
	text, err := json.Marshal(map[string]any{
		"policies": defined, "users": []any{map[string]any{"id": user, "policies": attached}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := access.ParseRules("policies", text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// places returns resources that both name.
func places(repository, name string) map[string]access.Resource {
	return map[string]access.Resource{
		permissions.RepoArn(repository):             access.Repository(repository),
		permissions.BranchArn(repository, name):     access.Branch(repository, name),
		permissions.TagArn(repository, name):        access.Tag(repository, name),
		permissions.ObjectArn(repository, name):     access.Object(repository, name),
		permissions.StorageNamespace("s3:/" + name): access.Namespace("s3:/" + name),
		permissions.UserArn(name):                   access.User(name),
		permissions.All:                             access.Everything(),
	}
}

// lakeFSAnswer returns the answer of lakeFS to a user who needs some permissions.
func lakeFSAnswer(policies []*model.Policy, user string, nodes ...permissions.Node) string {
	missing := new(auth.MissingPermissions)
	all := permissions.Node{Type: permissions.NodeTypeAnd, Nodes: nodes}
	if auth.CheckPermissions(context.Background(), all, user, policies, missing) == auth.CheckAllow {
		return ""
	}
	return auth.ErrInsufficientPermissions.Error() + ": " + missing.String()
}

// randomStatement returns a statement about the actions and places of TestPoliciesDecideAsInLakeFS.
func randomStatement(rnd *rand.Rand) model.Statement {
	actions := []string{"fs:ReadObject", "fs:WriteObject", "fs:Read*", "fs:*Object", "fs:?e*", "auth:*", "fs:*"}
	one := func() string {
		starts := []string{
			"fs:::repository/${user}", "fs:::repository/a", "fs:::repository/", "fs:::repository/*/branch/", "fs:x::namespace/s3:/",
			"auth:::user/", "auth:::user/${user}", "fs:::*/object/",
		}
		return "arn:lakefs:" + starts[rnd.IntN(len(starts))] + word(rnd, "ab/**?", 3)
	}
	s := model.Statement{
		Effect: model.StatementEffectAllow, Resource: one(),
		Action: []string{actions[rnd.IntN(len(actions))], "fs:DeleteTag"},
	}
	switch rnd.IntN(4) {
	case 0:
		list, _ := json.Marshal([]string{one(), "arn:lakefs:catalog:::table/x"})
		s.Resource = string(list)
	case 1:
		s.Resource = "*"
	}
	if rnd.IntN(3) == 0 {
		s.Effect = model.StatementEffectDeny
	}
	return s
}

// randomPolicies returns policies of a few statements.
func randomPolicies(rnd *rand.Rand) (policies []*model.Policy) {
	for i := range 1 + rnd.IntN(3) {
		p := &model.Policy{DisplayName: fmt.Sprint("P", i)}
		for range 1 + rnd.IntN(2) {
			p.Statement = append(p.Statement, randomStatement(rnd))
		}
		policies = append(policies, p)
	}
	return policies
}

// Rangefleet answers a need as lakeFS does, except that it tells which action is denied, and not
// the policy's pattern of it.
func TestPoliciesDecideAsInLakeFS(t *testing.T) {
	rnd := seeded.Rand(t)
	n := pairs(t) / 10
	outcomes := map[string]int{}
	for range n / 10 {
		user := word(rnd, "ab", 1) + "a"
		policies := randomPolicies(rnd)
		grants := rules(t, user, policies).Of(access.Caller{User: user})
		for name, place := range places(word(rnd, "ab", 2)+"a", word(rnd, "ab/", 4)) {
			action := []string{"fs:ReadObject", "fs:WriteObject", "auth:ReadUser"}[rnd.IntN(3)]
			got := ""
			if err := grants.Check(access.On(access.Action(action), place)); err != nil {
				got = err.Error()
			}
			want := lakeFSAnswer(policies, user, permissions.Node{Permission: permissions.Permission{Action: action, Resource: name}})
			if denied, _, ok := strings.Cut(want, "denied permission to "); ok {
				want = denied + "denied permission to " + action
			}
			if got != want {
				t.Fatalf("%s of %s to %s: %q, in lakeFS %q; policies %s", action, name, user, got, want, show(policies))
			}
			outcomes[strings.TrimSuffix(want, action)]++
		}
	}
	t.Log(outcomes)
	if len(outcomes) < 3 {
		t.Errorf("outcomes %v, which tests too little", outcomes)
	}
}

// What Rangefleet allows to an import, lakeFS allows for every key that the import reads or
// replaces.
func TestImportsNeedNoLessThanInLakeFS(t *testing.T) {
	rnd := seeded.Rand(t)
	allowed := 0
	n := pairs(t) / 100
	for range n {
		policies := randomPolicies(rnd)
		grants := rules(t, "a", policies).Of(access.Caller{User: "a"})
		repository, from, to := word(rnd, "ab", 2)+"a", "s3://"+word(rnd, "ab/", 2), word(rnd, "ab", 2)
		err := grants.Check(access.All(
			access.On(access.WriteObject, access.Branch(repository, "main")),
			access.On(access.ReadObject, access.Source(from, true)),
			access.On(access.WriteObject, access.Destination(repository, to, true)),
		))
		if err != nil || endsInSlash(policies) { // such a resource stands for more than in lakeFS
			continue
		}
		allowed++
		for range 20 {
			key := word(rnd, "ab/é", 3)
			answer := lakeFSAnswer(policies, "a",
				permissions.Node{Permission: permissions.Permission{Action: permissions.WriteObjectAction, Resource: permissions.BranchArn(repository, "main")}},
				permissions.Node{Permission: permissions.Permission{Action: permissions.ReadObjectAction, Resource: permissions.StorageNamespace(from + key)}},
				permissions.Node{Permission: permissions.Permission{Action: permissions.WriteObjectAction, Resource: permissions.ObjectArn(repository, strings.TrimPrefix(to+"/", "/")+key)}},
			)
			if answer != "" {
				t.Fatalf("%q from %q to %q: %s; policies %s", key, from, to, answer, show(policies))
			}
		}
	}
	if allowed < n/50 {
		t.Errorf("of %d imports %d are allowed, which tests too little", n, allowed)
	}
}

// endsInSlash reports whether a resource of a policy ends in '/'.
func endsInSlash(policies []*model.Policy) bool {
	return strings.Contains(show(policies), `/"`) || strings.Contains(show(policies), `/\"`)
}

// A list needs its action on some resource, as in lakeFS. But if all resources are denied, the list
// is denied, and not empty.
func TestListsNeedAnyResource(t *testing.T) {
	rnd := seeded.Rand(t)
	for range pairs(t) / 100 {
		policies := randomPolicies(rnd)
		err := rules(t, "a", policies).Of(access.Caller{User: "a"}).Check(access.On(access.ReadObject, access.Anything()))
		want := auth.HasActionOnAnyResource(policies, permissions.ReadObjectAction)
		denied := err != nil && strings.Contains(err.Error(), "denied")
		if (err == nil) != want && !denied {
			t.Fatalf("%v, in lakeFS %t; policies %s", err, want, show(policies))
		}
	}
}

func show(policies []*model.Policy) string {
	text, _ := json.Marshal(policies)
	return string(text)
}

// firstSetup notes the policies of a new server.
type firstSetup struct {
	auth.Service
	policies []*model.Policy
}

func (s *firstSetup) WritePolicy(_ context.Context, p *model.Policy, _ bool) error {
	s.policies = append(s.policies, p)
	return nil
}

// The built-in policies do what those of a new lakeFS server do, for all actions of lakeFS.
func TestBuiltInPolicies(t *testing.T) {
	var server firstSetup
	if err := setup.CreateRBACBasePolicies(t.Context(), &server, time.Now()); err != nil {
		t.Fatal(err)
	}
	if len(server.policies) < 10 {
		t.Fatalf("%d policies", len(server.policies))
	}
	for _, p := range server.policies {
		grants := rules(t, "alice", nil, p.DisplayName).Of(access.Caller{User: "alice"})
		for _, action := range permissions.Actions {
			for name, place := range places("lake", "alice") {
				got := grants.Check(access.On(access.Action(action), place))
				want := lakeFSAnswer([]*model.Policy{p}, "alice", permissions.Node{Permission: permissions.Permission{Action: action, Resource: name}})
				if (got == nil) != (want == "") {
					t.Errorf("%s: %s of %s: %v, in lakeFS %q", p.DisplayName, action, name, got, want)
				}
			}
		}
	}
}

// Policies can name every action of lakeFS.
func TestActionsOfLakeFS(t *testing.T) {
	for _, action := range permissions.Actions {
		rules(t, "alice", []*model.Policy{{DisplayName: "P", Statement: model.Statements{{Effect: "allow", Action: []string{action}, Resource: "*"}}}})
	}
}
