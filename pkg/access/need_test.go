package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// granted returns the grants of the user alice with the statements, each "allow fs:X on RESOURCE".
// A resource other than * lacks its first five fields.
func granted(t *testing.T, statements ...string) Grants {
	t.Helper()
	var g Grants
	for _, text := range statements {
		says, rest, _ := strings.Cut(text, " ")
		action, resource, ok := strings.Cut(rest, " on ")
		if resource != "*" && !strings.HasPrefix(resource, "arn:") {
			resource = "arn:lakefs:fs:::" + resource
		}
		if _, err := parseTarget(resource); err != nil || !ok || checkAction(action) != nil {
			t.Fatalf("%s: %v, %v", text, err, checkAction(action))
		}
		s := compile(Statement{Effect(says), []string{action}, []string{resource}})
		g.rules = append(g.rules, s.of("alice"))
	}
	return g
}

// lakeFS answers with the same messages, by which clients know what they miss.
func TestMessages(t *testing.T) {
	write, read := On(WriteObject, Branch("lake", "main")), On(ReadBranch, Branch("lake", "main"))
	for _, tc := range []struct {
		name       string
		statements []string
		need       Need
		want       string
	}{
		{"nothing is needed", nil, Need{}, ""},
		{"all of nothing", nil, All(), ""},
		{"nothing is granted", nil, write, "not allowed to fs:WriteObject"},
		{"the action is granted", []string{"allow fs:WriteObject on *"}, write, ""},
		{"another action", []string{"allow fs:Read* on *"}, write, "not allowed to fs:WriteObject"},
		{"another resource", []string{"allow fs:* on repository/pond/*"}, write, "not allowed to fs:WriteObject"},
		{"one of two", []string{"allow fs:Read* on *"}, All(read, write), "not allowed to fs:WriteObject"},
		{"none of two", nil, All(read, write), "not allowed to fs:ReadBranch,fs:WriteObject"},
		{"one twice", nil, All(write, write), "not allowed to fs:WriteObject"},
		{"denied", []string{"allow fs:* on *", "deny fs:Write* on *"}, write, "denied permission to fs:WriteObject"},
		{"denied before it is allowed", []string{"deny fs:Write* on *", "allow fs:* on *"}, write, "denied permission to fs:WriteObject"},
		{"denied and missing", []string{"deny fs:WriteObject on *"}, All(read, write), "denied permission to fs:WriteObject"},
		{"denied on something else", []string{"allow fs:* on *", "deny fs:* on repository/pond/*"}, write, ""},
	} {
		err := granted(t, tc.statements...).Check(tc.need)
		switch {
		case tc.want == "" && err == nil:
		case tc.want == "" || !fault.Is(err, fault.Denied) || err.Error() != "insufficient permissions: "+tc.want:
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// Of several paths of an import, the message names the first that is refused; of one path it is
// lakeFS's, word by word.
func TestMessagesNameThePath(t *testing.T) {
	may := []string{
		"allow fs:WriteObject on repository/lake/*", "allow fs:CreateCommit on *", "allow fs:ImportFromStorage on namespace/s3://open/*",
		"deny fs:ImportFromStorage on namespace/s3://open/secret/*", "deny fs:WriteObject on repository/lake/object/gold/*",
	}
	for _, tc := range []struct {
		name  string
		paths []Path
		want  string
	}{
		{"one", []Path{{"s3://other/", "x", true}}, "not allowed to fs:ImportFromStorage"},
		{"one of two", []Path{{"s3://open/a/", "x", true}, {"s3://other/", "y", true}}, `not allowed to fs:ImportFromStorage (paths[1].path "s3://other/")`},
		{"two of three", []Path{{"s3://other/", "x", true}, {"s3://open/a/", "y", true}, {"s3://more/", "z", true}}, `not allowed to fs:ImportFromStorage (paths[0].path "s3://other/" and 1 more)`},
		{"a denied source", []Path{{"s3://other/", "x", true}, {"s3://open/", "y", true}}, `denied permission to fs:ImportFromStorage (paths[1].path "s3://open/")`},
		{"a denied destination", []Path{{"s3://open/a", "gold", true}, {"s3://open/b", "y", true}}, `denied permission to fs:WriteObject (paths[0].destination "gold")`},
	} {
		need, _ := NeedOf("importStart", Request{Repository: "lake", Branch: "main", Paths: tc.paths})
		err := granted(t, may...).Check(need)
		if !fault.Is(err, fault.Denied) || err.Error() != "insufficient permissions: "+tc.want {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	need, _ := NeedOf("importStart", Request{Repository: "lake", Branch: "main", Paths: []Path{{"s3://open/a", "x", true}, {"s3://open/b", "y", true}}})
	if err := (Grants{}).Check(need); err == nil || !strings.HasPrefix(err.Error(), "insufficient permissions: not allowed to fs:WriteObject,fs:CreateCommit,fs:ImportFromStorage (paths[0].path ") {
		t.Errorf("nothing is granted: %v", err)
	}
}

func TestResources(t *testing.T) {
	for _, tc := range []struct {
		statements string // separated by commas
		resource   Resource
		want       bool
	}{
		{"allow fs:* on repository/lake", Repository("lake"), true},
		{"allow fs:* on repository/lake", Branch("lake", "main"), false},
		{"allow fs:* on repository/lake/branch/*", Branch("lake", "a/b"), true},
		{"allow fs:* on repository/lake/branch/*", Tag("lake", "v1"), false},
		{"allow fs:* on repository/lake/tag/v?", Tag("lake", "v1"), true},
		{"allow fs:* on repository/lake/object/a/*", Object("lake", "a/b"), true},
		{"allow fs:* on repository/lake/object/a/", Object("lake", "a/b"), false},
		{"allow fs:* on repository/*", Object("lake", "\xff"), false},
		{"allow fs:* on *", Object("lake", "\xff"), false},
		{"allow fs:* on arn:lakefs:auth:::*", Repository("lake"), false},
		{"allow fs:* on arn:lakefs:fs:eu::repository/lake", Repository("lake"), true},
		{"allow fs:* on arn:lakefs:auth:::user/${user}", User("alice"), true},
		{"allow fs:* on arn:lakefs:auth:::user/${user}", User("bob"), false},
		{"allow fs:* on repository/${user}-*", Repository("alice-1"), true},

		{"allow fs:* on *", Everything(), true},
		{"allow fs:* on arn:lakefs:fs:::*", Everything(), false},
		{"allow fs:* on *,deny fs:* on arn:lakefs:fs:::*", Everything(), true},
		{"allow fs:* on *,deny fs:* on *", Everything(), false},
		{"allow fs:* on repository/lake", Anything(), true},
		{"allow fs:* on repository/lake,deny fs:* on repository/*", Anything(), true},
		{"allow fs:* on repository/lake,deny fs:* on *", Anything(), false},
		{"deny fs:* on repository/lake", Anything(), false},
	} {
		err := granted(t, strings.Split(tc.statements, ",")...).Check(On(ReadRepository, tc.resource))
		if (err == nil) != tc.want {
			t.Errorf("%s: %+v: %v", tc.statements, tc.resource, err)
		}
	}
}

// An import needs all that it reads and all that it replaces.
func TestImportsNeedWholePrefixes(t *testing.T) {
	const grant = "allow fs:* on namespace/s3://lake/team-a/"
	prefix := func(uri string) Resource { return Source(uri, true) }
	object := func(uri string) Resource { return Source(uri, false) }
	into := func(key string) Resource { return Destination("lake", key, true) }
	for _, tc := range []struct {
		statements string // separated by commas
		resource   Resource
		want       bool
	}{
		{grant, prefix("s3://lake/team-a/"), true},
		{grant, prefix("s3://lake/team-a/x"), true},
		{grant, object("s3://lake/team-a/x"), true},
		{grant, prefix("s3://lake/team-a"), false},
		{grant, prefix("s3://lake/team-a-secret/"), false},
		{grant, prefix("s3://lake/"), false},
		{grant, prefix("S3://lake/team-a/"), false},
		{grant, prefix("s3://lake@other/team-a/"), false},
		{grant, prefix("s3://lake/team%2Da/"), false},
		{grant, Namespace("s3://lake/team-a/x"), false},
		{grant, storageNamespace("s3://lake/team-a"), true},
		{grant, storageNamespace("s3://lake/team-a/x"), false},
		{"allow fs:* on namespace/s3://lake/*", storageNamespace("s3://lake/"), true},
		{"allow fs:* on namespace/s3://lake/*,deny fs:* on namespace/s3://lake/x/y", storageNamespace("s3://lake/x"), false},
		{"allow fs:* on namespace/s3://lake/*,deny fs:* on namespace/s3://lake/x/", storageNamespace("s3://lake/x/y"), false},
		{"allow fs:* on namespace/s3://lake/*,deny fs:* on namespace/s3://lake/x/", storageNamespace("s3://lake/xy"), true},
		{"allow fs:* on namespace/s3://lake/team-a/*", prefix("s3://lake/team-a/"), true},
		{"allow fs:* on namespace/s3://lake/team-a*", prefix("s3://lake/team-a"), true},
		{"allow fs:* on namespace/s3://lake/team-a/x", prefix("s3://lake/team-a/x"), false},
		{"allow fs:* on namespace/s3://lake/team-a/x", object("s3://lake/team-a/x"), true},
		{"allow fs:* on namespace/s3://*/raw/*", prefix("s3://lake/x/raw/y"), true},
		{"allow fs:* on namespace/s3://*.parquet", prefix("s3://lake/"), false},
		{"allow fs:* on namespace/s3://lake/,deny fs:* on namespace/s3://lake/secret/*", prefix("s3://lake/secret"), false},
		{"allow fs:* on namespace/s3://lake/,deny fs:* on namespace/s3://lake/secret/", prefix("s3://lake/"), false},
		{"allow fs:* on namespace/s3://lake/,deny fs:* on namespace/s3://lake/secret/", object("s3://lake/secret/x"), false},
		{"allow fs:* on namespace/s3://lake/,deny fs:* on namespace/s3://lake/secret/", prefix("s3://lake/secret-not/"), true},
		{"allow fs:* on namespace/s3://lake/,deny fs:* on namespace/s3://lake/*/secret", prefix("s3://lake/x/"), false},
		{"allow fs:* on namespace/s3://lake/,deny fs:* on namespace/s3://lake/a?", prefix("s3://lake/b"), true},
		{"allow fs:* on *,deny fs:* on namespace/s3://lake/x", prefix("s3://lake/x/"), true},

		{"allow fs:* on repository/lake/object/gold/*", into("gold/"), true},
		{"allow fs:* on repository/lake/object/gold/*", into("gold"), true},
		{"allow fs:* on repository/lake/object/gold/*", into("gold2"), false},
		{"allow fs:* on repository/lake/object/gold/*", into(""), false},
		{"allow fs:* on repository/lake/object/gold", into("gold"), false},
		{"allow fs:* on repository/lake/object/gold", Destination("lake", "gold", false), true},
		{"allow fs:* on repository/lake/object/*", into(""), true},
		{"allow fs:* on repository/lake/*", into(""), true},
		{"allow fs:* on *,deny fs:* on repository/lake/object/gold/*", into(""), false},
		{"allow fs:* on *,deny fs:* on repository/lake/object/gold/x", into("gold"), false},
		{"allow fs:* on *,deny fs:* on repository/lake/object/gold/", Destination("lake", "gold/x", false), false},
		{"allow fs:* on *,deny fs:* on repository/lake/object/gold/", into("golden"), true},
		{"allow fs:* on *,deny fs:* on repository/lake/branch/*", into(""), true},
		{"allow fs:* on *,deny fs:* on repository/pond/*", into(""), true},
	} {
		err := granted(t, strings.Split(tc.statements, ",")...).Check(On(ImportFromStorage, tc.resource))
		if (err == nil) != tc.want {
			t.Errorf("%s: %+v: %v", tc.statements, tc.resource, err)
		}
	}
}

// The naive twin asks for each key below the prefix. Then one statement must allow all keys, and
// none may deny any.
func TestPrefixNeedsAgainstAllKeys(t *testing.T) {
	rnd := seeded.Rand(t)
	below := texts("ab/c", 4)
	outcomes := map[string]int{}
	for range 1_000 {
		var statements []string
		for range 1 + rnd.IntN(3) {
			effect := []string{"allow", "allow", "deny"}[rnd.IntN(3)]
			statements = append(statements, fmt.Sprintf("%s fs:WriteObject on repository/r/object/%s", effect, pick(rnd, "aab/*?", 4)))
		}
		key := pick(rnd, "ab", 2)
		got := granted(t, statements...).Check(On(WriteObject, Destination("r", key, true)))
		if key != "" {
			key += "/"
		}
		all := func(statement string) bool {
			g := granted(t, statement)
			return !slices.ContainsFunc(below, func(rest string) bool {
				return g.Check(On(WriteObject, Destination("r", key+rest, false))) != nil
			})
		}
		allowed := slices.ContainsFunc(statements, all)
		denied := slices.ContainsFunc(statements, func(statement string) bool {
			g := granted(t, "allow fs:* on *", statement)
			return slices.ContainsFunc(below, func(rest string) bool {
				return g.Check(On(WriteObject, Destination("r", key+rest, false))) != nil
			})
		})
		want := "<nil>"
		if denied {
			want = "insufficient permissions: denied permission to fs:WriteObject"
		} else if !allowed {
			want = "insufficient permissions: not allowed to fs:WriteObject"
		}
		if fmt.Sprint(got) != want {
			t.Fatalf("%q of %q: %v, want %v", key, statements, got, want)
		}
		outcomes[want]++
	}
	if len(outcomes) < 3 || outcomes["<nil>"] < 30 {
		t.Errorf("outcomes %v, which tests too little", outcomes)
	}
}
