package roles_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
)

func uri(t *testing.T, text string) objectstore.URI {
	t.Helper()
	u, err := objectstore.ParseURI(text)
	expect.NoError(t, err)
	return u
}

func role(t *testing.T, source string) roles.Role {
	t.Helper()
	return roles.Role{Source: uri(t, source), ARN: "arn:aws:iam::123456789012:role/r", SessionName: "rangefleet"}
}

func table(t *testing.T, sources ...string) roles.Table {
	t.Helper()
	var all []roles.Role
	for _, s := range sources {
		all = append(all, role(t, s))
	}
	tab, err := roles.NewTable(all)
	expect.NoError(t, err)
	return tab
}

func TestFor(t *testing.T) {
	tab := table(t, "s3://lake/", "s3://lake/team-a/", "s3://lake/team-a/secret/", "s3://other/x/")
	const refused = "refused"
	long := strings.Repeat("k", 800)
	for _, tc := range []struct {
		source     string
		object     bool
		role, want string // its source, and what the session reaches; "" for none
	}{
		{"s3://lake/team-a/2026/", false, "s3://lake/team-a/", "s3://lake/team-a/2026/"},
		{"s3://lake/team-a/2026", false, "s3://lake/team-a/", "s3://lake/team-a/2026"},
		{"s3://lake/team-a/secret/", false, "s3://lake/team-a/secret/", "s3://lake/team-a/secret/"},
		{"s3://lake/team-a/secret/x", true, "s3://lake/team-a/secret/", "s3://lake/team-a/secret/"},
		{"s3://lake/team-a/x", true, "s3://lake/team-a/", "s3://lake/team-a/"},
		{"s3://lake/team-a", true, "s3://lake/", "s3://lake/"},
		{"s3://lake/team-ab/", false, "s3://lake/", "s3://lake/team-ab/"},
		{"s3://lake/team-b/", false, "s3://lake/", "s3://lake/team-b/"},
		{"s3://lake/team-b/a*c/", false, "s3://lake/", "s3://lake/team-b/a"},
		{"s3://lake/${user}/", false, "s3://lake/", "s3://lake/"},
		{"s3://lake/a?b", false, "s3://lake/", "s3://lake/a"},
		{"s3://lake/é/", false, "s3://lake/", "s3://lake/"},
		{"s3://lake/a b/c", false, "s3://lake/", "s3://lake/a b/c"},
		{"s3://lake/a\nb", false, "s3://lake/", "s3://lake/a"},
		{"s3://lake/" + long, false, "s3://lake/", "s3://lake/" + long[:700]},
		{"s3://lake/", false, refused, ""},
		{"s3://lake/team", false, refused, ""},
		{"s3://lake/team-a", false, refused, ""},
		{"s3://lake/team-a/", false, refused, ""},
		{"s3://lake/team-a/sec", false, refused, ""},
		{"s3://other", false, refused, ""},
		{"s3://other/x", false, refused, ""},
		{"s3://other/x", true, "", ""},
		{"s3://other/x/", false, "s3://other/x/", "s3://other/x/"},
		{"s3://other/y/", false, "", ""},
		{"s3://lakes/", false, "", ""},
		{"local:///lake/", false, "", ""},
	} {
		s, ok, err := tab.For(uri(t, tc.source), tc.object)
		switch {
		case tc.role == refused:
			if !errors.Is(err, objectstore.ErrRefused) || ok {
				t.Errorf("%s: %+v, %v, want ErrRefused", tc.source, s, err)
			}
		case err != nil || ok != (tc.role != ""):
			t.Errorf("%s: %t, %v, want the role of %q", tc.source, ok, err, tc.role)
		case ok && (s.Role.Source.String() != tc.role || s.Reach.String() != tc.want):
			t.Errorf("%s: the role of %s to %s, want that of %s to %s", tc.source, s.Role.Source, s.Reach, tc.role, tc.want)
		}
	}
}

// Whatever is read, no key of it belongs to another role than the one that it is read with,
// and the session reaches all of its keys and none outside of the role's source.
func TestEveryKeyIsReadWithItsOwnRole(t *testing.T) {
	r := seeded.Rand(t)
	text := func(most int) (s string) {
		for range r.IntN(most + 1) {
			s += string("ab/*"[r.IntN(4)])
		}
		return s
	}
	for range 20_000 {
		var sources []string
		for range r.IntN(4) {
			s := "s3://b/" + strings.ReplaceAll(text(4), "*", "")
			if strings.HasSuffix(s, "/") && !slices.Contains(sources, s) {
				sources = append(sources, s)
			}
		}
		prefix, rest := "s3://b/"+text(4), text(4)
		s, ok, err := table(t, sources...).For(uri(t, prefix), false)
		if err != nil {
			continue
		}
		if own := longest(sources, prefix+rest); ok != (own != "") || ok && s.Role.Source.String() != own {
			t.Fatalf("%q in %q is read with the role of %s, want that of %q", prefix+rest, prefix, s.Role.Source, own)
		}
		if ok && (!s.Reach.Contains(uri(t, prefix)) || !s.Role.Source.Contains(s.Reach)) {
			t.Fatalf("%q, with the role of %s, has a session to %s", prefix, s.Role.Source, s.Reach)
		}
	}
}

// longest returns the longest source that a key lies in, or "".
func longest(sources []string, key string) (found string) {
	for _, source := range sources {
		if strings.HasPrefix(key, source) && len(source) > len(found) {
			found = source
		}
	}
	return found
}

func TestPolicy(t *testing.T) {
	s, _, err := table(t, "s3://lake/team-a/").For(uri(t, "s3://lake/team-a/x/"), false)
	expect.NoError(t, err)
	const list = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::lake",` +
		`"Condition":{"StringLike":{"s3:prefix":"team-a/x/*"}}}`
	if got := s.Policy(false); got != list+"]}" {
		t.Errorf("policy %s", got)
	}
	if got, want := s.Policy(true), list+`,{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::lake/team-a/x/*"}]}`; got != want {
		t.Errorf("policy %s, want %s", got, want)
	}
	for _, tc := range []struct{ arn, source, want string }{
		{"arn:aws-cn:iam::1:role/r", "s3://lake/", `"arn:aws-cn:s3:::lake"}`},
		{"arn:minio:iam:::role/r", "s3://lake/", `"arn:aws:s3:::lake"}`},
		{"arn:aws:iam::tenant:role/r", "s3://tenant:lake/", `"arn:aws:s3::tenant:lake"}`},
	} {
		s := roles.Session{Role: roles.Role{ARN: tc.arn}, Reach: uri(t, tc.source)}
		if got := s.Policy(false); !strings.Contains(got, tc.want) || strings.Contains(got, "Condition") {
			t.Errorf("%s: policy %s, want %s", tc.arn, got, tc.want)
		}
	}
}

// A policy is JSON that names the prefix, and fits.
func FuzzPolicy(f *testing.F) {
	f.Add(strings.Repeat("<", 800))
	f.Add(strings.Repeat(" ", 800))
	f.Add("team-a/\"},{*${aws:username}\\u002a/é")
	f.Fuzz(func(t *testing.T, key string) {
		tab := table(t, "s3://b/")
		s, ok, err := tab.For(objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "b", Key: key}, false)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		text := s.Policy(true)
		var parsed any
		if err := json.Unmarshal([]byte(text), &parsed); err != nil || len(text) > 2048 {
			t.Errorf("%d bytes, %v: %s", len(text), err, text)
		}
		plain := strings.ReplaceAll(text, `\u0020`, " ")
		if !strings.HasPrefix(key, s.Reach.Key) || strings.Count(plain, "*") > 2 || strings.ContainsAny(plain, `$?\`) || strings.Contains(text, " ") {
			t.Errorf("%q: policy %s", key, text)
		}
	})
}

func TestRolesThatAreNone(t *testing.T) {
	good := role(t, "s3://lake/team-a/")
	good.ExternalID = "id-1:a/b"
	for want, change := range map[string]func(*roles.Role){
		"want s3://":   func(r *roles.Role) { r.Source = uri(t, "local:///d/") },
		"want a '/'":   func(r *roles.Role) { r.Source.Key = "team-a" },
		"printable":    func(r *roles.Role) { r.Source.Key = "team*/" },
		"at most 700":  func(r *roles.Role) { r.Source.Key = strings.Repeat("k", 700) + "/" },
		"being 6":      func(r *roles.Role) { r.Source.Key = strings.Repeat(" ", 117) + "/" },
		"role_arn":     func(r *roles.Role) { r.ARN = "arn:aws:iam::1:user/u" },
		"external_id":  func(r *roles.Role) { r.ExternalID = "a b" },
		"session_name": func(r *roles.Role) { r.SessionName = "" },
	} {
		r := good
		change(&r)
		if _, err := roles.NewTable([]roles.Role{role(t, "s3://other/"), r}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", r, err, want)
		}
	}
	for _, arn := range []string{"", "arn:aws:iam::1:role/", "arn:aws:s3:::role/r", "arn:aws:iam::1:role/a b", "x"} {
		r := good
		r.ARN = arn
		if _, err := roles.NewTable([]roles.Role{r}); err == nil {
			t.Errorf("%q was taken for the ARN of a role", arn)
		}
	}
	_, err := roles.NewTable([]roles.Role{good})
	expect.NoError(t, err)
	if _, err := roles.NewTable([]roles.Role{good, good}); err == nil || !strings.Contains(err.Error(), "two roles") {
		t.Errorf("two roles for one source: %v", err)
	}
	many := make([]roles.Role, 1001)
	for i := range many {
		many[i] = role(t, fmt.Sprintf("s3://lake/%d/", i))
	}
	if _, err := roles.NewTable(many); err == nil {
		t.Error("too many roles were taken")
	}
}

// A bucket that another name may stand for is not read past the role of its source.
func TestOtherNamesOfABucketNeedARole(t *testing.T) {
	const secret, tenants = "s3://lake/secret/", "s3://t:lake/"
	for _, tc := range []struct {
		roles   []string
		source  string
		object  bool
		refused bool
	}{
		{[]string{secret}, "s3://t:lake/secret/", false, true},
		{[]string{secret}, "s3://t:lake/secret/x", true, true},
		{[]string{secret}, "s3://t:lake/", false, true},
		{[]string{secret}, "s3://t:lake/open/", false, false},
		{[]string{secret}, "s3://t:lake/x", true, false},
		{[]string{tenants}, "s3://lake/x", true, true},
		{[]string{tenants}, "s3://u:lake/x", true, false},
		{[]string{secret, tenants}, "s3://t:lake/secret/x", true, true},
		{[]string{secret, tenants}, "s3://t:lake/open/x", true, false},
		{[]string{secret, "s3://t:lake/secret/"}, "s3://t:lake/secret/x", true, false},
		{[]string{secret, "s3://t:lake/secret/"}, "s3://lake/secret/x", true, false},
	} {
		s, ok, err := table(t, tc.roles...).For(uri(t, tc.source), tc.object)
		if errors.Is(err, objectstore.ErrRefused) != tc.refused {
			t.Errorf("%s with roles for %q: %+v, %t, %v", tc.source, tc.roles, s, ok, err)
		}
		if ok && !s.Role.Source.Contains(uri(t, tc.source)) {
			t.Errorf("%s is read with the role of %s", tc.source, s.Role.Source)
		}
	}
}
