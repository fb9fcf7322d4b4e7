package access

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/internal/generated"
)

// declared returns the operations of api/openapi.yaml that need credentials, in its order.
func declared(t *testing.T) (ids []string) {
	t.Helper()
	text, err := os.ReadFile("../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var contract struct{ Paths yaml.Node }
	if err := yaml.Unmarshal(text, &contract); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(contract.Paths.Content); i += 2 {
		item := contract.Paths.Content[i]
		for j := 0; j+1 < len(item.Content); j += 2 {
			var operation struct {
				ID       string      `yaml:"operationId"`
				Security *[]struct{} `yaml:"security"`
			}
			if item.Content[j].Value == "parameters" {
				continue
			}
			if err := item.Content[j+1].Decode(&operation); err != nil {
				t.Fatal(err)
			}
			if operation.Security == nil {
				ids = append(ids, operation.ID)
			}
		}
	}
	return ids
}

// An operation without needs would be open to every user who logs in.
func TestEveryOperationHasNeeds(t *testing.T) {
	ids := declared(t)
	for _, id := range ids {
		if _, ok := operations[id]; !ok {
			t.Errorf("%s has no needs", id)
		}
	}
	for id := range operations {
		if !slices.Contains(ids, id) {
			t.Errorf("there is no operation %s", id)
		}
	}
	if n, ok := NeedOf("importstart", Request{}); ok || len(n.parts) > 0 {
		t.Errorf("an unknown operation needs %+v, %t", n, ok)
	}
}

func TestNeedsOfOperations(t *testing.T) {
	r := Request{
		Repository: "lake", Branch: "main", Tag: "v1", Key: "a/b", Namespace: "s3://meta/lake",
		User: "ann", Group: "TeamA", Policy: "P",
		Paths: []Path{{"s3://b/x", "raw", true}, {"s3://b/y", "y", false}},
	}
	tree := r
	tree.Tree = true
	for _, tc := range []struct {
		id      string
		request Request
		want    Need
	}{
		{"importStart", r, All(
			On(WriteObject, Branch("lake", "main")), On(CreateCommit, Branch("lake", "main")),
			On(ImportFromStorage, Source("s3://b/x", true)), On(ImportFromStorage, Source("s3://b/y", false)),
			On(WriteObject, Destination("lake", "raw/", true)), On(WriteObject, Destination("lake", "y", false)),
		)},
		{"createRepository", r, All(On(CreateRepository, Repository("lake")), On(AttachStorageNamespace, storageNamespace("s3://meta/lake")))},
		{"commit", r, On(CreateCommit, Branch("lake", "main"))},
		{"commit", tree, All(On(CreateCommit, Branch("lake", "main")), On(WriteObject, Destination("lake", "", true)))},
		{"getTag", r, On(ReadTag, Tag("lake", "v1"))},
		{"getObject", r, On(ReadObject, Object("lake", "a/b"))},
		{"createUser", r, On(CreateUser, User("ann"))},
		{"listUsers", r, On(ListUsers, Everything())},
		{"deleteCredentials", r, On(DeleteCredentials, User("ann"))},
		{"listGroupMembers", r, On(ReadGroup, groupResource("TeamA"))},
		{"getPolicy", r, On(ReadPolicy, policyResource("P"))},
		{"getStorageConfig", r, On(ReadConfig, Everything())},
		{"listRepositories", r, On(ListRepositories, Anything())},
		{"getCurrentUser", r, Need{}},
	} {
		same := func(a, b part) bool { return a.action == b.action && a.on == b.on } // TestMessagesNameThePath has the fields
		if got, ok := NeedOf(tc.id, tc.request); !ok || !slices.EqualFunc(got.parts, tc.want.parts, same) {
			t.Errorf("%s needs %+v, %t, want %+v", tc.id, got, ok, tc.want)
		}
	}
	if got, ok := NeedOfResult("listImports", r); !ok || !slices.Equal(got.parts, On(ReadBranch, Branch("lake", "main")).parts) {
		t.Errorf("a result of listImports needs %+v, %t", got, ok)
	}
}

func TestOnlyAdminsMayDoAnythingWithoutRules(t *testing.T) {
	for name, r := range map[string]*Rules{"built in": BuiltIn(), "empty": parsed(t, ""), "null": parsed(t, "# nothing\n~"), "empty lists": parsed(t, "users: []\ngroups:\n")} {
		for operation := range operations {
			n, _ := NeedOf(operation, Request{Repository: "lake", Branch: "main", Paths: []Path{{"s3://b/", "", true}}})
			if err := r.Of(Caller{User: Admin}).Check(n); err != nil {
				t.Errorf("%s: the admin: %s: %v", name, operation, err)
			}
			if err := r.Of(Caller{User: "alice"}).Check(n); (err == nil) != (len(n.parts) == 0) {
				t.Errorf("%s: alice: %s: %v", name, operation, err)
			}
		}
	}
}

func TestDocsAreCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n## What an operation needs\n\n| operation | action | resource |\n| --- | --- | --- |\n")
	for _, id := range declared(t) {
		o := operations[id]
		if len(o.request)+len(o.result) == 0 {
			fmt.Fprintf(&b, "| %s | none | |\n", id)
		}
		for _, n := range o.request {
			fmt.Fprintf(&b, "| %s | `%s` | %s |\n", id, n.action, n.on.name)
		}
		for _, n := range o.result {
			fmt.Fprintf(&b, "| %s, each result | `%s` | %s |\n", id, n.action, n.on.name)
		}
	}
	b.WriteString("\n## Actions\n\n| service | actions |\n| --- | --- |\n")
	for _, service := range slices.Sorted(maps.Keys(known)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", service, strings.Join(strings.Fields(known[service]), ", "))
	}
	b.WriteString("\n## Built-in policies\n\n| policy | actions | resource |\n| --- | --- | --- |\n")
	for _, p := range builtIn() {
		for _, s := range p.Statements {
			fmt.Fprintf(&b, "| %s | `%s` | `%s` |\n", p.ID, strings.Join(s.Actions, "`, `"), strings.Join(s.Resources, "`, `"))
		}
	}
	b.WriteString("\n")
	generated.Part(t, "../../docs/access.md", b.String())
}

// Operations name only actions that policies can name.
func TestActionsAreKnown(t *testing.T) {
	for id, o := range operations {
		for _, n := range slices.Concat(o.request, o.result) {
			if err := checkAction(string(n.action)); err != nil {
				t.Errorf("%s: %s: %v", id, n.action, err)
			}
		}
	}
	for _, p := range builtIn() {
		for _, s := range p.Statements {
			for _, action := range s.Actions {
				if err := checkAction(action); err != nil {
					t.Errorf("%s: %s: %v", p.ID, action, err)
				}
			}
			for _, resource := range s.Resources {
				if _, err := parseTarget(resource); err != nil {
					t.Errorf("%s: %s: %v", p.ID, resource, err)
				}
			}
		}
	}
}
