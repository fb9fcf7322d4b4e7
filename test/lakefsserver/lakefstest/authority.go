package lakefstest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Authority answers a lakeFS server's questions about users, as lakeFS's authorization API
// (auth.api.endpoint) says. Without one, lakeFS as it is published knows one user, who may do
// everything: more users, groups and policies are Enterprise's. The server checks policies itself,
// so that what a user may do is decided by lakeFS, and only who there is by the Authority.
// Methods may be called concurrently.
type Authority struct {
	mu    sync.Mutex
	users map[string]member // by name
}

type member struct {
	User
	statements []Statement
}

// Statement allows or denies actions on resources, as in a lakeFS policy. Actions and
// resources may have wildcards.
type Statement struct {
	Effect   string   `json:"effect"` // "allow" or "deny"
	Action   []string `json:"action"`
	Resource string   `json:"resource"`
}

// Allow returns a statement that allows actions on a resource.
func Allow(resource string, actions ...string) Statement {
	return Statement{Effect: "allow", Action: actions, Resource: resource}
}

// NewAuthority returns an authority that knows Admin.
func NewAuthority() *Authority {
	a := &Authority{users: map[string]member{}}
	a.Put(Admin, Allow("*", "*"))
	return a
}

// Put adds a user, or changes what the user may do.
func (a *Authority) Put(user User, statements ...Statement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[user.Name] = member{user, statements}
}

// Remove removes a user, whose credentials no longer hold.
func (a *Authority) Remove(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, name)
}

// find returns the first user that a condition holds for.
func (a *Authority) find(holds func(member) bool) (member, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.users {
		if holds(m) {
			return m, true
		}
	}
	return member{}, false
}

// serve answers questions until t ends, and returns the URL to put them to.
func (a *Authority) serve(t testing.TB) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthcheck", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /config/version", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, object{"version": "tests"}) })
	mux.HandleFunc("GET /auth/users/{user}", a.byName(http.StatusOK, member.user))
	mux.HandleFunc("GET /auth/users/{user}/policies", a.byName(http.StatusOK, member.policies))
	mux.HandleFunc("GET /auth/credentials/{key}", func(w http.ResponseWriter, r *http.Request) {
		m, ok := a.find(func(m member) bool { return m.AccessKeyID == r.PathValue("key") })
		answerIf(w, ok, http.StatusOK, m.credentials())
	})
	// The server makes its first user when it is set up.
	mux.HandleFunc("POST /auth/users", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusCreated, member{User: Admin}.user())
	})
	mux.HandleFunc("GET /auth/groups/{group}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, object{"id": r.PathValue("group"), "name": r.PathValue("group"), "creation_date": 0})
	})
	mux.HandleFunc("PUT /auth/groups/{group}/members/{user}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
	mux.HandleFunc("POST /auth/users/{user}/credentials", a.byName(http.StatusCreated, member.credentials))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// byName answers with something of the user that the path names.
func (a *Authority) byName(status int, what func(member) object) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, ok := a.find(func(m member) bool { return m.Name == r.PathValue("user") })
		answerIf(w, ok, status, what(m))
	}
}

type object = map[string]any

func (m member) user() object {
	return object{"name": m.Name, "username": m.Name, "creation_date": 0, "encryptedPassword": "", "source": "internal"}
}

func (m member) credentials() object {
	return object{"access_key_id": m.AccessKeyID, "secret_access_key": m.SecretAccessKey, "creation_date": 0, "user_id": 0, "user_name": m.Name}
}

func (m member) policies() object {
	var policies []object
	if len(m.statements) > 0 {
		policies = []object{{"name": "of " + m.Name, "creation_date": 0, "statement": m.statements}}
	}
	return object{
		"pagination": object{"has_more": false, "max_per_page": 100, "results": len(policies), "next_offset": ""},
		"results":    policies,
	}
}

func answerIf(w http.ResponseWriter, found bool, status int, body object) {
	if !found {
		status, body = http.StatusNotFound, object{"message": "not found"}
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked is gone
}
