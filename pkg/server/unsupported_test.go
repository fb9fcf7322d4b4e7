package server

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// An operation that is not supported is refused by its name, but not to everybody.
func TestUnsupportedOperations(t *testing.T) {
	f := newFixture(t)
	wildcard := regexp.MustCompile(`\{[^}]*\}`)
	names := make(map[string]bool)
	for _, op := range refusals() {
		if names[op.name] {
			t.Errorf("%s is there twice", op.name)
		}
		names[op.name] = true
		target := wildcard.ReplaceAllString(op.path, "x")
		anonymous := exchange{op.name, op.method, target, "", http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`}
		refused := exchange{op.name, op.method, target, "", nil, 501, `{"message":"` + op.message + `"}`}
		if op.open {
			anonymous.code, anonymous.want = refused.code, refused.want
		}
		anonymous.run(t, f)
		refused.run(t, f)
		if !strings.HasPrefix(op.message, op.name+" is not supported: ") || strings.Contains(op.message+" ", ". ") {
			t.Errorf("message %q: want one sentence with the name", op.message)
		}
	}
	for _, open := range []string{"stsLogin", "setupCommPrefs"} {
		if !names[open] {
			t.Errorf("%s is not refused", open)
		}
	}
	exchange{
		"body", "POST", "/api/v1/repositories/lake/branches/main/objects?path=a", strings.Repeat("x", 1<<20), nil, 501,
		`{"message":"uploadObject is not supported: objects are not written through this server: import them"}`,
	}.run(t, f)
	exchange{"another method", "PATCH", "/api/v1/auth/users", "", nil, 405, `{"message":"method not allowed"}`}.run(t, f)
}
