package access

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

func TestLocalUsers(t *testing.T) {
	for name, valid := range map[string]bool{
		"alice":                            true,
		"alice@example.com":                true,
		"a.b_c+d:e=f-1":                    true,
		Admin:                              true,
		"oidc":                             true,
		"openid:x":                         true,
		strings.Repeat("a", limits.Name):   true,
		strings.Repeat("a", limits.Name+1): false,
		"":                                 false,
		"*":                                false,
		".":                                false,
		"..":                               false,
		"...":                              true,
		"a?":                               false,
		"${user}":                          false,
		"a/b":                              false,
		"a|b":                              false,
		"admin ":                           false,
		"x\ny":                             false,
		"x\x00":                            false,
		"ädmin":                            false,
		"\u212Aelvin":                      false, // the sign of Kelvin, which is normalized to K
		"oidc:x":                           false,
		"OIDC:x":                           false,
		"saml:x|y":                         false,
	} {
		if err := CheckLocalUser(name); (err == nil) != valid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestExternalUsers(t *testing.T) {
	const idp = "https://idp.example.com/realm"
	name, err := ExternalUser(OIDC, idp, "alice")
	if want := "oidc:https:=2F=2Fidp.example.com=2Frealm=7Calice"; name != want || err != nil {
		t.Errorf("%q, %v, want %q", name, err, want)
	}
	for _, sub := range []string{"", "*", "${user}", "a/b", "admin ", "x\ny", strings.Repeat("s", 300), "ä", "a,b"} {
		if name, err := ExternalUser(OIDC, idp, sub); err == nil {
			t.Errorf("the subject %q becomes %q", sub, name)
		}
	}
	for _, iss := range []string{"", "a|b", "a b", "ä", strings.Repeat("i", limits.Issuer+1)} {
		if name, err := ExternalUser(OIDC, iss, "alice"); err == nil {
			t.Errorf("the issuer %q becomes %q", iss, name)
		}
	}
}

// Users are the same only if they have the same provider, issuer and subject.
func TestExternalUsersDiffer(t *testing.T) {
	parts := []string{"a", "a=7Cb", "=", "a:b", "b", "*", "$", "oidc:a", "admin", "a=2Fb", "a/b"}
	seen := map[string]string{}
	for _, p := range providers() {
		for _, iss := range parts {
			for _, sub := range append(parts, "a|b", "b|a") {
				name, err := ExternalUser(p, iss, sub)
				if err != nil {
					continue
				}
				key := string(p) + " " + iss + " " + sub
				if before, ok := seen[name]; ok {
					t.Errorf("%s and %s are both %s", before, key, name)
				}
				seen[name] = key
				if strings.ContainsAny(name, "*?${}/| ") || CheckLocalUser(name) == nil || checkUser(name) != nil {
					t.Errorf("%s is %s: %v, %v", key, name, CheckLocalUser(name), checkUser(name))
				}
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d users", len(seen))
	}
}

func TestUsersAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"alice":                    "alice",
		"oidc:https://idp|a|b":     "oidc:https:=2F=2Fidp=7Ca=7Cb",
		"saml:urn:idp|a@b":         "saml:urn:idp=7Ca@b",
		"oidc:https://idp":         "",
		"OIDC:https://idp|a":       "",
		"oidc:|a":                  "",
		"oidc:https:=2F=2Fidp=7Ca": "",
		"a|b":                      "",
		"":                         "",
	} {
		got, err := parseUser(text)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, name := range []string{"oidc:a=7cb", "oidc:a|b", "oidc:a=7Cb=", "oidc:a=7Cb=4", "oidc:a=7C=2A", "oidc:=7Cb", "oidc:=61=7Cb", "oidc:a=7Cb=ZZ", "Oidc:a=7Cb"} {
		if err := checkUser(name); err == nil {
			t.Errorf("%q is the name of a user", name)
		}
	}
}
