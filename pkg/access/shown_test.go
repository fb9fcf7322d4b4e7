package access

import (
	"slices"
	"strings"
	"testing"
)

// The rules show what they say, and what is built in.
func TestRulesAreShown(t *testing.T) {
	r := parsed(t, sample)
	ids := func(policies []Policy) string {
		var all []string
		for _, p := range policies {
			if got, ok := r.Policy(p.ID); !ok || got.ID != p.ID || len(got.Statements) != len(p.Statements) {
				t.Errorf("policy %s is %+v, %t", p.ID, got, ok)
			}
			all = append(all, p.ID)
		}
		return strings.Join(all, " ")
	}
	bob, err := ExternalUser(OIDC, "https://idp", "bob")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ name, got, want string }{
		{"groups", strings.Join(r.Groups(), " "), "Admins TeamA"},
		{"members", strings.Join(r.Members("TeamA"), " "), "alice " + bob},
		{"members of Admins", strings.Join(r.Members("Admins"), " "), "admin root"},
		{"members of no group", strings.Join(r.Members("none"), " "), ""},
		{"groups of alice", strings.Join(r.GroupsOf("alice"), " "), "TeamA"},
		{"groups of nobody", strings.Join(r.GroupsOf("nobody"), " "), ""},
		{"policies of alice", ids(r.PoliciesOf("alice", false)), "FromLakeFS"},
		{"and of her groups", ids(r.PoliciesOf("alice", true)), "FSReadAll FromLakeFS ImportTeamA"},
		{"policies of bob", ids(r.PoliciesOf(bob, true)), "FSReadAll ImportTeamA"},
		{"policies of TeamA", ids(r.PoliciesOfGroup("TeamA")), "FSReadAll ImportTeamA"},
		{"policies of no group", ids(r.PoliciesOfGroup("none")), ""},
	} {
		if x.got != x.want {
			t.Errorf("%s: %q, want %q", x.name, x.got, x.want)
		}
	}
	if all := strings.Fields(ids(r.Policies())); len(all) != len(builtIn())+2 || !slices.IsSorted(all) {
		t.Errorf("policies %q", all)
	}
}

func TestPoliciesAreShownAsTheyAreWritten(t *testing.T) {
	r := parsed(t, sample)
	p, _ := r.Policy("FromLakeFS")
	if s := p.Statements[0]; s.Effect != deny || !slices.Equal(s.Actions, []string{"fs:Delete*"}) ||
		!slices.Equal(s.Resources, []string{"arn:lakefs:fs:::repository/lake", "arn:lakefs:fs:::repository/pond"}) {
		t.Errorf("statement %+v", s)
	}
	if _, ok := r.Policy("none"); ok || r.HasGroup("none") || !r.HasGroup("TeamA") {
		t.Error("the rules have what they do not say")
	}
}

// What is shown of the rules cannot change them.
func TestWhatIsShownIsACopy(t *testing.T) {
	r := parsed(t, sample)
	r.Groups()[0], r.GroupsOf("alice")[0], r.PoliciesOf("alice", true)[0].ID = "x", "x", "x"
	if r.Groups()[0] != "Admins" || r.GroupsOf("alice")[0] != "TeamA" || r.PoliciesOf("alice", true)[0].ID != "FSReadAll" {
		t.Error("the rules have changed")
	}
}
