package lakefs_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// gated is a gate before a server whose answer and clock a test sets.
type gated struct {
	answer answer
	now    time.Time
	asked  int
	hang   chan struct{} // answers wait until it is closed; nil: they do not
	gate   *lakefs.Gate
}

func newGated(t *testing.T) *gated {
	t.Helper()
	g := &gated{answer: answer{200, `{"user":{"id":"u"},"commit_id":"c"}`}, now: time.Unix(0, 0)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.asked++
		if g.hang != nil {
			<-g.hang
		}
		w.WriteHeader(g.answer.status)
		_, _ = w.Write([]byte(g.answer.body))
	}))
	t.Cleanup(s.Close)
	session, err := lakefs.Open(lakefs.Config{URL: s.URL, Sleep: noSleep}, lakefs.Login{})
	if err != nil {
		t.Fatal(err)
	}
	g.gate = lakefs.NewGate(session, func() time.Time { return g.now })
	return g
}

func (g *gated) user(t *testing.T, l lakefs.Login) (name string, ok bool, err error) {
	t.Helper()
	return g.gate.Authenticate(t.Context(), l)
}

func TestGateRemembersWhatWasGranted(t *testing.T) {
	g, l := newGated(t), lakefs.Keys("a", "s")
	if name, ok, err := g.user(t, l); name != "u" || !ok || err != nil || g.asked != 1 {
		t.Fatalf("%q, %v, %v after %d requests", name, ok, err, g.asked)
	}
	g.now = g.now.Add(9 * time.Second)
	if _, ok, _ := g.user(t, l); !ok || g.asked != 1 {
		t.Errorf("a moment later: %v after %d requests, want no other", ok, g.asked)
	}
	if _, ok, _ := g.user(t, lakefs.Keys("a", "other")); !ok || g.asked != 2 {
		t.Errorf("another secret: %v after %d requests, want another", ok, g.asked)
	}
	if err := g.gate.MayRead(t.Context(), l, "repo", "main"); err != nil || g.asked != 3 {
		t.Errorf("another question: %v after %d requests, want another", err, g.asked)
	}
	if err := g.gate.MayRead(t.Context(), l, "rep", "omain"); err != nil || g.asked != 4 {
		t.Errorf("another branch: %v after %d requests, want another", err, g.asked)
	}
}

// A login that was accepted lately is known, until it is refused or a while has passed.
func TestGateKnowsWhomTheServerAccepted(t *testing.T) {
	g, l := newGated(t), lakefs.Keys("a", "s")
	if g.gate.Accepted(l) {
		t.Error("accepted before it was asked for")
	}
	_, _, _ = g.user(t, l)
	g.now = g.now.Add(9 * time.Minute)
	if !g.gate.Accepted(l) || g.gate.Accepted(lakefs.Keys("a", "other")) {
		t.Error("want just the login that was accepted")
	}
	g.now = g.now.Add(2 * time.Minute)
	if g.gate.Accepted(l) {
		t.Error("accepted long ago")
	}
	_, _, _ = g.user(t, l)
	g.now = g.now.Add(11 * time.Second)
	g.answer = said(http.StatusUnauthorized, "error authenticating request")
	if _, _, _ = g.user(t, l); g.gate.Accepted(l) {
		t.Error("refused since")
	}
}

// Tokens and sessions have names of their own, which do not reveal them.
func TestLoginsHaveNames(t *testing.T) {
	with := func(name, value string) string {
		return lakefs.Forward(&http.Request{Header: http.Header{name: {value}}}).Name()
	}
	if got := lakefs.Keys("AKIA", "secret").Name(); got != "AKIA" {
		t.Errorf("access key: %q", got)
	}
	all := []string{with("Authorization", "Bearer one"), with("Authorization", "Bearer two"), with("Cookie", "internal_auth_session=one")}
	if slices.Sort(all); len(slices.Compact(all)) != 3 || strings.Contains(strings.Join(all, ""), "one") {
		t.Errorf("names %q", all)
	}
}

func TestGateForgetsWhatIsRefused(t *testing.T) {
	g, l := newGated(t), lakefs.Keys("a", "s")
	_, _, _ = g.user(t, l)
	g.now = g.now.Add(11 * time.Second)
	g.answer = said(http.StatusUnauthorized, "error authenticating request")
	if _, ok, err := g.user(t, l); ok || err != nil {
		t.Errorf("refused: %v, %v", ok, err)
	}
	g.answer = answer{http.StatusBadGateway, ""}
	if _, ok, err := g.user(t, l); ok || !fault.Is(err, fault.Later) {
		t.Errorf("out of reach after a refusal: %v, %v, want an error", ok, err)
	}
}

// A server answers a session that it does not know with a user without a name. That refuses it,
// even if it was granted a moment ago. Another answer does not.
func TestGateRefusesWhomTheServerDoesNotName(t *testing.T) {
	for body, refused := range map[string]bool{
		`{"user":{"creation_date":0,"id":""}}`: true, `{"user":{}}`: true, `{}`: false, `{"user":null}`: false,
	} {
		g, l := newGated(t), lakefs.Keys("a", "s")
		g.answer = answer{http.StatusOK, body}
		if name, ok, err := g.user(t, l); name != "" || ok || (err == nil) != refused {
			t.Errorf("%s: %q, %t, %v", body, name, ok, err)
		}
		g.answer = answer{http.StatusOK, `{"user":{"id":"u"}}`}
		_, _, _ = g.user(t, l)
		g.now = g.now.Add(11 * time.Second)
		g.answer = answer{http.StatusOK, body}
		if name, ok, err := g.user(t, l); ok == refused || (name == "u") == refused || err != nil {
			t.Errorf("%s, after it was granted: %q, %t, %v", body, name, ok, err)
		}
	}
}

func TestGateOutlivesARestartOfTheServer(t *testing.T) {
	g, l := newGated(t), lakefs.Keys("a", "s")
	_, _, _ = g.user(t, l)
	g.answer = answer{http.StatusServiceUnavailable, ""}
	g.now = g.now.Add(9 * time.Minute)
	if name, ok, err := g.user(t, l); name != "u" || !ok || err != nil {
		t.Errorf("within the grace: %q, %v, %v", name, ok, err)
	}
	g.now = g.now.Add(2 * time.Minute)
	if _, ok, err := g.user(t, l); ok || !fault.Is(err, fault.Later) {
		t.Errorf("after it: %v, %v, want an error", ok, err)
	}
}

// What a server refuses becomes a fault with its words.
func TestFaults(t *testing.T) {
	for status, kind := range map[int]fault.Kind{400: fault.Invalid, 401: fault.Denied, 403: fault.Forbidden, 404: fault.NotFound, 500: fault.Later, 429: fault.Later} {
		if err := lakefs.Fault(&lakefs.Error{Status: status, Message: "words"}); !fault.Is(err, kind) {
			t.Errorf("%d: %v, want a fault of kind %d", status, err, kind)
		}
	}
}

// A caller may see that the import to a branch failed as the branch is gone.
func TestGateLetsReadABranchThatIsGone(t *testing.T) {
	g := newGated(t)
	g.answer = said(http.StatusNotFound, "branch not found")
	if err := g.gate.MayRead(t.Context(), lakefs.Keys("a", "s"), "repo", "main"); err != nil {
		t.Error(err)
	}
}

// While the server hangs, those that it accepted lately are answered in time.
func TestGateOutlivesAServerThatHangs(t *testing.T) {
	g, l := newGated(t), lakefs.Keys("a", "s")
	_, _, _ = g.user(t, l)
	g.now = g.now.Add(time.Minute)
	g.hang = make(chan struct{})
	t.Cleanup(func() { close(g.hang) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if name, ok, err := g.gate.Authenticate(ctx, l); name != "u" || !ok || err != nil || ctx.Err() != nil {
		t.Errorf("%q, %v, %v, %v", name, ok, err, ctx.Err())
	}
}

func TestMayCancel(t *testing.T) {
	g := newGated(t)
	for status, kind := range map[int]fault.Kind{404: 0, 401: fault.Denied, 204: fault.Later, 500: fault.Later} {
		g.answer = said(status, "words")
		err := g.gate.MayCancel(t.Context(), lakefs.Keys("a", "s"), "repo", "main")
		if kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
			t.Errorf("%d: %v, want a fault of kind %d", status, err, kind)
		}
	}
}

// On a server without groups, a user has none. If one does not tell them, nothing is known.
func TestGroupsOfAUser(t *testing.T) {
	const first = `{"pagination":{"has_more":true,"next_offset":"b"},"results":[{"id":"g1","name":"Writers"},{"id":"b","name":""}]}`
	const last = `{"pagination":{"has_more":false,"next_offset":""},"results":[{"id":"c","name":"c"}]}`
	for name, tc := range map[string]struct {
		answers []answer
		want    string
		fails   bool
	}{
		"two pages":        {[]answer{{200, first}, {200, last}}, "Writers b c", false},
		"an endless list":  {[]answer{{200, first}}, "", true},
		"no users there":   {[]answer{said(501, "not implemented")}, "", false},
		"not permitted":    {[]answer{said(401, "insufficient permissions: not allowed to auth:ReadUser")}, "", true},
		"no such user":     {[]answer{said(404, "user not found")}, "", false},
		"login refused":    {[]answer{said(401, "error authenticating request")}, "", true},
		"it is not there":  {[]answer{said(500, "internal server error")}, "", true},
		"lost on page two": {[]answer{{200, first}, said(500, "x")}, "", true},
	} {
		server, requests := serve(t, tc.answers...)
		got, err := lakefs.GroupsOf(t.Context(), server, "ann")
		if strings.Join(got, " ") != tc.want || (err != nil) != tc.fails {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if r := requests()[0]; !strings.HasPrefix(r, "GET /api/v1/auth/users/ann/groups?after=&amount=1000") {
			t.Errorf("%s: asked %s", name, r)
		}
	}
}

// No name leads to another path than its own: a user named .. has not all groups there are.
func TestNamesAreElementsOfPaths(t *testing.T) {
	server, requests := serve(t, answer{200, `{"results":[{"id":"Admins"}]}`})
	for _, name := range []string{".", ".."} {
		if groups, err := lakefs.GroupsOf(t.Context(), server, name); len(groups) > 0 || !lakefs.IsRefused(err) {
			t.Errorf("%q has the groups %q, %v", name, groups, err)
		}
		if err := lakefs.NewGate(server, time.Now).MayRead(t.Context(), lakefs.Login{}, "lake", name); !fault.Is(err, fault.Invalid) {
			t.Errorf("the branch %q: %v", name, err)
		}
	}
	if sent := requests(); len(sent) > 0 {
		t.Errorf("sent %q", sent)
	}
	groups, err := lakefs.GroupsOf(t.Context(), server, "../x%2F")
	if want := "GET /api/v1/auth/users/..%2Fx%252F/groups?after=&amount=1000"; err != nil || len(groups) != 1 || !strings.HasPrefix(requests()[0], want) {
		t.Errorf("%q, %v: %q, want %s", groups, err, requests(), want)
	}
}
