package lakefs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

// answer is what a test's server says to a request.
type answer struct {
	status int
	body   string
}

func noSleep(context.Context, time.Duration) error { return nil }

func said(status int, message string) answer {
	text, _ := json.Marshal(map[string]string{"message": message})
	return answer{status, string(text)}
}

// serve starts a server that gives the answers in turn, the last one for ever. It returns a
// session of it, and a function that returns the requests that it got.
func serve(t *testing.T, answers ...answer) (server *lakefs.Session, requests func() []string) {
	t.Helper()
	var (
		mu  sync.Mutex // a client may see a connection end before its handler has returned
		got []string
	)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		a := answers[min(len(got), len(answers)-1)]
		got = append(got, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization")+r.Header.Get("Cookie"))
		mu.Unlock()
		if a.status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
	}))
	t.Cleanup(s.Close)
	server, err := lakefs.Open(lakefs.Config{
		URL: s.URL, Transport: &http.Transport{DisableKeepAlives: true},
		Sleep: noSleep,
	}, lakefs.Keys("key", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	return server, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

var destination = lakefs.Destination{Repository: "repo", Branch: "main", Message: "m", Metadata: map[string]string{"k": "v"}}

// What a landing learns from each answer, in the server's words.
func TestOutcomes(t *testing.T) {
	head := answer{200, `{"id":"m","parents":["h"]}`}
	merged := answer{200, `{"reference":"m"}`}
	for name, c := range map[string]struct {
		kind    landing.Kind
		answers []answer
		want    landing.Outcome
	}{
		"created":                {landing.Create, []answer{{201, "h"}}, landing.Outcome{}},
		"exists":                 {landing.Create, []answer{said(409, "branch already exists")}, landing.Outcome{Result: landing.Refused}},
		"creation lost":          {landing.Create, []answer{{}}, landing.Outcome{Result: landing.Lost}},
		"written":                {landing.Write, []answer{{201, "{}"}}, landing.Outcome{}},
		"protected":              {landing.Write, []answer{said(403, "cannot commit to protected branch")}, landing.Outcome{Result: landing.Refused, Reason: landing.Protected}},
		"forbidden":              {landing.Write, []answer{said(403, "read-only repository")}, landing.Outcome{Result: landing.Refused}},
		"merged":                 {landing.Merge, []answer{merged, head}, landing.Outcome{Commit: landing.Commit{ID: "m", Parent: "h"}}},
		"merged, commit unread":  {landing.Merge, []answer{merged, said(404, "commit not found")}, landing.Outcome{Result: landing.Lost}},
		"no JSON":                {landing.Merge, []answer{{200, "<html>"}}, landing.Outcome{Result: landing.Lost}},
		"redirected":             {landing.Merge, []answer{{302, ""}}, landing.Outcome{Result: landing.Lost}},
		"too many":               {landing.Merge, []answer{said(429, "too many tries")}, landing.Outcome{Result: landing.Lost}},
		"locked":                 {landing.Merge, []answer{said(500, "branch is currently locked")}, landing.Outcome{Result: landing.Lost}},
		"nothing to merge":       {landing.Merge, []answer{said(400, "update branch main: no changes")}, landing.Outcome{Result: landing.Refused, Reason: landing.NoChange}},
		"source gone":            {landing.Merge, []answer{said(404, "update branch main: get commit by ref rf-x: not found")}, landing.Outcome{Result: landing.Refused, Reason: landing.NoSource}},
		"target gone":            {landing.Merge, []answer{said(404, "branch not found")}, landing.Outcome{Result: landing.Refused, Reason: landing.NoTarget}},
		"dirty":                  {landing.Merge, []answer{said(400, "uncommitted changes (dirty branch)")}, landing.Outcome{Result: landing.Refused}},
		"deleted":                {landing.Delete, []answer{{204, ""}}, landing.Outcome{}},
		"nothing to delete":      {landing.Delete, []answer{said(404, "branch not found")}, landing.Outcome{}},
		"another page's 404":     {landing.Delete, []answer{{404, "nginx"}}, landing.Outcome{Result: landing.Refused}},
		"fenced":                 {landing.Fence, []answer{said(404, "update branch main: get commit by ref rf-x: not found")}, landing.Outcome{Result: landing.Refused, Reason: landing.NoSource}},
		"another name not found": {landing.Fence, []answer{said(404, "get commit by ref rf-y: not found")}, landing.Outcome{Result: landing.Refused}},
		"not fenced":             {landing.Fence, []answer{said(400, "uncommitted changes (dirty branch)")}, landing.Outcome{Result: landing.Refused}},
		"login refused":          {landing.Merge, []answer{said(401, "error authenticating request")}, landing.Outcome{Result: landing.Lost}},
		"not permitted":          {landing.Merge, []answer{said(401, "not allowed to fs:CreateCommit")}, landing.Outcome{Result: landing.Refused}},
		"fence lost":             {landing.Fence, []answer{{}}, landing.Outcome{Result: landing.Lost}},
	} {
		t.Run(name, func(t *testing.T) {
			server, requests := serve(t, c.answers...)
			o, err := server.Perform(t.Context(), destination, landing.Action{Kind: c.kind, Branch: "rf-x", Base: "h", Metarange: "t"})
			if o.Result != landing.Done && o.Text == "" {
				t.Error("no words")
			}
			o.Text = ""
			if err != nil || o != c.want {
				t.Errorf("%+v, %v, want %+v", o, err, c.want)
			}
			got := requests()
			if writes := len(got) - strings.Count(strings.Join(got, "\n"), "GET "); writes != 1 {
				t.Errorf("the request was sent %d times: %q", writes, got)
			}
		})
	}
}

// A commit that is stored by itself is the same however often the request is sent.
func TestStore(t *testing.T) {
	base, me := answer{200, `{"id":"h","parents":[],"generation":7}`}, answer{200, `{"user":{"id":"account"}}`}
	id := ident.Commit{
		Committer: "account", Message: "m", MetarangeID: "t", Created: 1000, Metadata: map[string]string{"k": "v", "rangefleet.landing": "rf-x"}, Parents: []string{"h"},
	}.ID()
	to := destination
	to.Created = 1000
	for name, c := range map[string]struct {
		answers []answer
		want    landing.Outcome
	}{
		"stored":         {[]answer{base, me, {204, ""}}, landing.Outcome{Commit: landing.Commit{ID: id}}},
		"answer lost":    {[]answer{base, me, {}, said(409, "commit already exists: not unique")}, landing.Outcome{Commit: landing.Commit{ID: id}}},
		"not permitted":  {[]answer{base, me, said(401, "not allowed to fs:CreateCommit")}, landing.Outcome{Result: landing.Refused}},
		"base is gone":   {[]answer{said(404, "commit not found")}, landing.Outcome{Result: landing.Refused}},
		"user is unread": {[]answer{base, {503, ""}}, landing.Outcome{Result: landing.Lost}},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := serve(t, c.answers...)
			o, err := server.Perform(t.Context(), to, landing.Action{Kind: landing.Store, Branch: "rf-x", Base: "h", Metarange: "t"})
			o.Text = ""
			if err != nil || o != c.want {
				t.Errorf("%+v, %v, want %+v", o, err, c.want)
			}
		})
	}
}

func log(more bool, commits ...string) answer {
	return answer{200, fmt.Sprintf(`{"pagination":{"has_more":%v},"results":[%s]}`, more, strings.Join(commits, ","))}
}

// A branch whose tree has lost its files is moved to another tree before it is deleted.
func TestDeleteOfABranchWithoutItsTree(t *testing.T) {
	gone := said(410, "No data")
	for name, c := range map[string]struct {
		answers []answer
		want    landing.Result
	}{
		"reset":              {[]answer{gone, {204, ""}, {204, ""}}, landing.Done},
		"reset is lost":      {[]answer{gone, {}}, landing.Lost},
		"reset is forbidden": {[]answer{gone, said(401, "not allowed to fs:RevertBranch")}, landing.Refused},
	} {
		server, requests := serve(t, c.answers...)
		o, err := server.Perform(t.Context(), destination, landing.Action{Kind: landing.Delete, Branch: "rf-x"})
		got := requests()
		if err != nil || o.Result != c.want || len(got) != len(c.answers) || !strings.Contains(got[1], "PUT /api/v1/repositories/repo/branches/rf-x/hard_reset?ref=main ") {
			t.Errorf("%s: %+v, %v after %q", name, o, err, got)
		}
	}
}

func commit(id, parent, mark string) string {
	return fmt.Sprintf(`{"id":%q,"parents":[%q],"metadata":{"rangefleet.landing":%q}}`, id, parent, mark)
}

func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		answers []answer
		want    landing.Outcome
	}{
		"head":                {[]answer{log(true, commit("m", "h", "rf-x"))}, landing.Outcome{Commit: landing.Commit{ID: "m", Parent: "h"}}},
		"after another":       {[]answer{log(true, commit("m", "u", "rf-x"))}, landing.Outcome{Commit: landing.Commit{ID: "m", Parent: "u"}}},
		"on the second page":  {[]answer{log(true, commit("u", "m", "")), log(true, commit("m", "h", "rf-x"))}, landing.Outcome{Commit: landing.Commit{ID: "m", Parent: "h"}}},
		"another's":           {[]answer{log(false, commit("m", "h", "rf-y"), commit("h", "g", ""))}, landing.Outcome{Result: landing.Refused, Reason: landing.NotThere}},
		"the base has a mark": {[]answer{log(true, commit("h", "g", "rf-w"))}, landing.Outcome{Result: landing.Refused, Reason: landing.NotThere}},
		"reset":               {[]answer{log(false, commit("g", "f", ""))}, landing.Outcome{Result: landing.Refused, Reason: landing.BaseGone}},
		"an empty page":       {[]answer{log(true)}, landing.Outcome{Result: landing.Refused, Reason: landing.BaseGone}},
		"no branch":           {[]answer{said(404, "branch not found")}, landing.Outcome{Result: landing.Refused, Reason: landing.NoTarget}},
		"answered at last":    {[]answer{{}, {503, ""}, {429, ""}, {200, "{"}, log(true, commit("h", "g", ""))}, landing.Outcome{Result: landing.Refused, Reason: landing.NotThere}},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := serve(t, c.answers...)
			o, err := server.Perform(t.Context(), destination, landing.Action{Kind: landing.Find, Branch: "rf-x", Base: "h"})
			o.Text = ""
			if err != nil || o != c.want {
				t.Errorf("%+v, %v, want %+v", o, err, c.want)
			}
		})
	}
	server, requests := serve(t, answer{503, ""})
	if o, err := server.Perform(t.Context(), destination, landing.Action{Kind: landing.Find, Branch: "rf-x"}); err == nil || len(requests()) != 5 {
		t.Errorf("a server that is out of reach: %+v, %v after %d requests, want an error after 5", o, err, len(requests()))
	}
}

func TestOnlyActionsOfTheServerArePerformed(t *testing.T) {
	server, requests := serve(t, answer{200, "{}"})
	if _, err := server.Perform(t.Context(), destination, landing.Action{Kind: landing.Prepare}); err == nil || len(requests()) != 0 {
		t.Errorf("%v, %q, want an error and no request", err, requests())
	}
}

func TestReads(t *testing.T) {
	server, requests := serve(t, answer{200, `{"id":"repo/x","storage_namespace":"s3://b/p","read_only":true,"creation_date":7}`})
	if r, err := server.Repository(t.Context(), "repo/x"); err != nil || r != (lakefs.Repository{ID: "repo/x", StorageNamespace: "s3://b/p", ReadOnly: true, Created: 7}) {
		t.Errorf("Repository = %+v, %v", r, err)
	}
	if want := "GET /api/v1/repositories/repo%2Fx Basic a2V5OnNlY3JldA=="; requests()[0] != want {
		t.Errorf("it was asked %q, want %q", requests()[0], want)
	}
	for name, read := range map[string]func(s *lakefs.Session) error{
		"Head":   func(s *lakefs.Session) error { _, err := s.Head(t.Context(), "repo", "main"); return err },
		"Commit": func(s *lakefs.Session) error { _, err := s.Commit(t.Context(), "repo", "c"); return err },
	} {
		server, _ := serve(t, answer{200, "{}"})
		if err := read(server); err == nil {
			t.Errorf("%s takes an answer that says nothing", name)
		}
		server, _ = serve(t, said(404, "not found"))
		if err := read(server); !lakefs.IsRefused(err) || !strings.Contains(err.Error(), "not found (HTTP 404)") {
			t.Errorf("%s: %v, want the server's words", name, err)
		}
	}
}

func TestMayCommit(t *testing.T) {
	for name, c := range map[string]struct {
		answer answer
		want   string // "" is nil
	}{
		"may":            {said(400, "argument strategy: invalid value: validation error"), ""},
		"may not":        {said(401, "insufficient permissions: not allowed to fs:CreateCommit"), "fs:CreateCommit"},
		"another 400":    {said(400, "bad request"), "bad request"},
		"a kind answer":  {answer{200, "{}"}, "a strategy that does not exist"},
		"a broken proxy": {answer{502, ""}, "Bad Gateway"},
	} {
		server, _ := serve(t, c.answer)
		err := server.MayCommit(t.Context(), "repo", "main")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Of a caller's request, only what authenticates is sent on.
func TestForward(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer token")
	r.Header.Set("X-Forwarded-For", "1.2.3.4")
	for _, name := range []string{"internal_auth_session", "tracking", "saml_auth_session"} {
		r.AddCookie(&http.Cookie{Name: name, Value: "of " + name})
	}
	server, requests := serve(t, answer{204, ""})
	if err := server.As(lakefs.Forward(r)).MayWrite(t.Context(), "repo", "main", "a b/"); err != nil {
		t.Fatal(err)
	}
	want := `GET /api/v1/repositories/repo/branches/main/objects/stage_allowed?path=a+b%2F Bearer token` +
		`internal_auth_session="of internal_auth_session"; saml_auth_session="of saml_auth_session"`
	if requests()[0] != want {
		t.Errorf("it was asked\n%s, want\n%s", requests()[0], want)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	server, _ := serve(t, answer{200, strings.Repeat(" ", 16<<20+1)})
	if _, err := server.Commit(t.Context(), "repo", "c"); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
		t.Errorf("%v, want the bound", err)
	}
	server, _ = serve(t, said(400, strings.Repeat("x", 5000)))
	if _, err := server.Commit(t.Context(), "repo", "c"); len(err.Error()) > 1100 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestOpenRefusesWhatIsNoServer(t *testing.T) {
	for _, u := range []string{"", "lakefs:8000", "ftp://h", "http://", "http://u:secret@h", "http://h?q", "http://h/#f", "http://[::1"} {
		if _, err := lakefs.Open(lakefs.Config{URL: u}, lakefs.Login{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): %v, want an error without a secret", u, err)
		}
	}
}

// A user is gone only if the server says so.
func TestUserExists(t *testing.T) {
	for name, c := range map[string]struct {
		answer  answer
		refused bool
		failed  bool
	}{
		"there":         {answer{200, `{"id":"u"}`}, false, false},
		"gone":          {said(404, "user not found"), true, true},
		"not permitted": {said(401, "insufficient permissions"), false, false},
		"login refused": {said(401, "error authenticating request"), true, true},
		"no users":      {said(501, "not implemented"), false, false},
		"no such path":  {answer{404, "<html>"}, false, false},
		"away":          {said(503, "away"), false, true},
	} {
		server, _ := serve(t, c.answer)
		if err := lakefs.UserExists(t.Context(), server, "u"); lakefs.IsRefused(err) != c.refused || (err != nil) != c.failed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
