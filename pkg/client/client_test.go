package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// answer is an answer of the fake service. Status 0 closes the connection instead.
type answer struct {
	status     int
	body       string
	retryAfter string
}

// service is a fake that gives its answers in order, and records the requests.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	answers []answer
	seen    []string // method, URI and body
	auth    []string
	slept   []time.Duration
}

func serve(t *testing.T, answers ...answer) (*service, *Client) {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	c, err := New(Config{
		Endpoint: s.URL, AccessKeyID: "AK", SecretAccessKey: "SK", Attempts: 4,
		// A kept connection that is cut off would be tried again below the client.
		Transport: &http.Transport{DisableKeepAlives: true},
		Random:    func() float64 { return 0.5 },
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.slept = append(s.slept, d)
			return ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)))
	user, password, _ := r.BasicAuth()
	s.auth = append(s.auth, user+":"+password)
	if len(s.answers) == 0 {
		panic(http.ErrAbortHandler)
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

func TestRequests(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name   string
		answer answer
		call   func(*Client) (any, error)
		seen   string
		want   string // fmt.Sprint of the result
	}{
		{
			"start",
			answer{status: 202, body: `{"id":"abc"}`},
			func(c *Client) (any, error) {
				return c.StartImport(ctx, "r", "b", api.ImportPathsCreation{
					Paths:  []api.ImportLocation{{Type: "object", Path: "s3://b/k", Destination: "d"}},
					Commit: api.CommitCreation{Message: "m", Metadata: api.UserMetadata{"k": "v"}},
				})
			},
			`POST /api/v1/repositories/r/branches/b/import {"commit":{"message":"m","metadata":{"k":"v"}},"paths":[{"destination":"d","path":"s3://b/k","type":"object"}]}`,
			"abc",
		},
		{
			"status",
			answer{status: 200, body: `{"completed":false,"ingested_objects":7,"phase":"running","update_time":"2026-01-02T03:04:05Z","later":1}`},
			func(c *Client) (any, error) {
				s, err := c.ImportStatus(ctx, "r", "b", "a&b")
				return fmt.Sprint(s.Phase, s.IngestedObjects, s.UpdateTime.Year()), err
			},
			"GET /api/v1/repositories/r/branches/b/import?id=a%26b", "running7 2026",
		},
		{
			"cancel",
			answer{status: 204},
			func(c *Client) (any, error) { return nil, c.CancelImport(ctx, "r", "b", "x") },
			"DELETE /api/v1/repositories/r/branches/b/import?id=x", "<nil>",
		},
		{
			"create repository",
			answer{status: 201, body: `{"id":"r"}`},
			func(c *Client) (any, error) {
				r, err := c.CreateRepository(ctx, api.RepositoryCreation{Name: "r", StorageNamespace: "s3://ns/r"})
				return r.ID, err
			},
			`POST /api/v1/repositories {"name":"r","storage_namespace":"s3://ns/r"}`, "r",
		},
		{
			"create branch",
			answer{status: 201, body: "c0ffee"},
			func(c *Client) (any, error) { return c.CreateBranch(ctx, "r", "b", "main") },
			`POST /api/v1/repositories/r/branches {"name":"b","source":"main"}`, "c0ffee",
		},
		{
			"create branch, of an earlier version",
			answer{status: 201, body: "\"c0ffee\"\n"},
			func(c *Client) (any, error) { return c.CreateBranch(ctx, "r", "b", "main") },
			`POST /api/v1/repositories/r/branches {"name":"b","source":"main"}`, "c0ffee",
		},
		{
			"names are escaped by element",
			answer{status: 200, body: `{"id":"x/y"}`},
			func(c *Client) (any, error) { r, err := c.Repository(ctx, "x/y%z"); return r.ID, err },
			"GET /api/v1/repositories/x%2Fy%25z", "x/y",
		},
		{
			"stat",
			answer{status: 200, body: `{"path":"a+b c"}`},
			func(c *Client) (any, error) { o, err := c.Object(ctx, "r", "main", "a+b c"); return o.Path, err },
			"GET /api/v1/repositories/r/refs/main/objects/stat?path=a%2Bb+c", "a+b c",
		},
		{
			"branch",
			answer{status: 200, body: `{"id":"b","commit_id":"c"}`},
			func(c *Client) (any, error) { return c.Branch(ctx, "r", "b") },
			"GET /api/v1/repositories/r/branches/b", "{c b}",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, cl := serve(t, c.answer)
			got, err := c.call(cl)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != c.want || !slices.Equal(s.seen, []string{c.seen}) {
				t.Errorf("got %v for %q, want %v for %q", got, s.seen, c.want, c.seen)
			}
			if s.auth[0] != "AK:SK" {
				t.Errorf("credentials %q", s.auth[0])
			}
		})
	}
}

func TestRetries(t *testing.T) {
	const ok = `{"id":"x"}`
	start := func(c *Client) error {
		_, err := c.StartImport(context.Background(), "r", "b", api.ImportPathsCreation{})
		return err
	}
	create := func(c *Client) error {
		_, err := c.CreateRepository(context.Background(), api.RepositoryCreation{})
		return err
	}
	ms := func(milliseconds ...int) (slept []time.Duration) {
		for _, n := range milliseconds {
			slept = append(slept, time.Duration(n)*time.Millisecond)
		}
		return slept
	}
	for _, c := range []struct {
		name    string
		call    func(*Client) error
		answers []answer
		slept   []time.Duration
		err     string
	}{
		{"busy twice", start, []answer{{status: 503}, {status: 429}, {status: 202, body: ok}}, ms(150, 300), ""},
		{"cut off", start, []answer{{}, {status: 202, body: ok}}, ms(150), ""},
		{"asked to wait", start, []answer{{status: 503, retryAfter: "3"}, {status: 202, body: ok}}, ms(3000), ""},
		{"asked to wait too long", start, []answer{{status: 503, retryAfter: "9999"}, {status: 202, body: ok}}, ms(60000), ""},
		{
			"given up", start,
			[]answer{{status: 502, body: "<html>"}, {status: 500}, {status: 500}, {status: 503, body: `{"message":"no leader"}`}},
			ms(150, 300, 600), "no leader (HTTP 503)",
		},
		{"for good", start, []answer{{status: 400, body: `{"message":"paths: empty"}`}}, nil, "paths: empty (HTTP 400)"},
		{"never twice", create, []answer{{status: 503}}, nil, "Service Unavailable (HTTP 503)"},
		{"unless there are too many", create, []answer{{status: 429}, {status: 201, body: ok}}, ms(150), ""},
		{"redirected", start, []answer{{status: 302}}, nil, "Found (HTTP 302)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, cl := serve(t, c.answers...)
			err := c.call(cl)
			if got := errText(err); got != c.err {
				t.Errorf("error %q, want %q", got, c.err)
			}
			if !slices.Equal(s.slept, c.slept) {
				t.Errorf("slept %v, want %v", s.slept, c.slept)
			}
			if len(s.answers) != 0 {
				t.Errorf("%d answers were not asked for", len(s.answers))
			}
			if slices.ContainsFunc(s.seen, func(r string) bool { return r != s.seen[0] }) {
				t.Errorf("a later try differs: %q", s.seen)
			}
		})
	}
}

func TestOnlyWhatWasNotSentIsTriedAgain(t *testing.T) {
	s, c := serve(t, answer{}, answer{})
	_, err := c.CreateRepository(context.Background(), api.RepositoryCreation{})
	if err == nil || len(s.seen) != 1 {
		t.Errorf("%d tries and %v, want one: it may have been carried out", len(s.seen), err)
	}
	s.Close()
	_, err = c.CreateRepository(context.Background(), api.RepositoryCreation{})
	if err == nil || len(s.slept) != 3 {
		t.Errorf("slept %v before %v, want all tries: nobody was reached", s.slept, err)
	}
}

func TestRetriesAreReported(t *testing.T) {
	_, c := serve(t, answer{status: 503, body: `{"message":"no leader"}`}, answer{status: 429}, answer{status: 404})
	var told []string
	c.config.Retry = func(err error) { told = append(told, err.Error()) }
	_, err := c.Repository(context.Background(), "r")
	if want := []string{"no leader (HTTP 503)", "Too Many Requests (HTTP 429)"}; !slices.Equal(told, want) || errText(err) != "Not Found (HTTP 404)" {
		t.Errorf("told %q before %v, want %q", told, err, want)
	}
}

// A client must not time out before the service reports why the request had to wait.
func TestATryOutlastsTheServer(t *testing.T) {
	c, err := New(Config{Endpoint: "http://h"})
	if err != nil || c.config.Timeout <= api.AnswerWithin {
		t.Errorf("%v, a try lasts %v", err, c.config.Timeout)
	}
}

func TestGarbledAnswersAreNotRetried(t *testing.T) {
	s, c := serve(t, answer{status: 200, body: "<html>"})
	_, err := c.Repository(context.Background(), "r")
	if !errors.Is(err, errGarbled) || Transient(err) || len(s.seen) != 1 {
		t.Errorf("error %v after %d tries", err, len(s.seen))
	}
}

func TestCanceledIsNotTriedAgain(t *testing.T) {
	s, c := serve(t, answer{status: 503})
	ctx, cancel := context.WithCancel(context.Background())
	c.config.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	if _, err := c.Repository(ctx, "r"); err == nil || len(s.seen) != 1 {
		t.Errorf("error %v after %d tries", err, len(s.seen))
	}
	if _, err := c.Repository(ctx, "r"); Transient(err) || len(s.seen) != 1 {
		t.Errorf("with a canceled context: error %v after %d tries", err, len(s.seen))
	}
}

func TestPages(t *testing.T) {
	page := func(more bool, next string, ids ...string) answer {
		var results []string
		for _, id := range ids {
			results = append(results, `{"id":"`+id+`"}`)
		}
		return answer{status: 200, body: fmt.Sprintf(
			`{"pagination":{"has_more":%t,"next_offset":%q},"results":[%s]}`, more, next, strings.Join(results, ","))}
	}
	for _, c := range []struct {
		name    string
		page    Page
		answers []answer
		queries []string
		want    []string
		err     string
	}{
		{"one page", Page{}, []answer{page(false, "", "a")}, []string{"amount=1000"}, []string{"a"}, ""},
		{
			"two pages",
			Page{Prefix: "p"},
			[]answer{page(true, "b", "a", "b"), page(false, "", "c")},
			[]string{"amount=1000&prefix=p", "after=b&amount=1000&prefix=p"},
			[]string{"a", "b", "c"},
			"",
		},
		{
			"a page without results",
			Page{Repository: "r", Phases: []api.ImportPhase{api.Running, api.Failed}},
			[]answer{page(true, "b"), page(false, "", "c")},
			[]string{"amount=1000&phase=running&phase=failed&repository=r", "after=b&amount=1000&phase=running&phase=failed&repository=r"},
			[]string{"c"},
			"",
		},
		{
			"no more than wanted",
			Page{After: "0", Amount: 3},
			[]answer{page(true, "b", "a", "b"), page(true, "d", "c", "d")},
			[]string{"after=0&amount=3", "after=b&amount=1"},
			[]string{"a", "b", "c"},
			"",
		},
		{
			"an error is no end",
			Page{},
			[]answer{page(true, "a", "a"), {status: 404, body: `{"message":"gone"}`}},
			[]string{"amount=1000", "after=a&amount=1000"},
			[]string{"a"},
			"gone (HTTP 404)",
		},
		{
			"a page that does not advance",
			Page{},
			[]answer{page(true, "a", "a"), page(true, "a", "a")},
			[]string{"amount=1000", "after=a&amount=1000"},
			[]string{"a", "a"},
			`the answer is not that of a coordinator: a page that does not advance, after "a"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, cl := serve(t, c.answers...)
			var got []string
			var last error
			for r, err := range cl.Repositories(context.Background(), c.page) {
				if last = err; err == nil {
					got = append(got, r.ID)
				}
			}
			if !slices.Equal(got, c.want) || errText(last) != c.err {
				t.Errorf("got %q and %v, want %q and %q", got, last, c.want, c.err)
			}
			var queries []string
			for _, seen := range s.seen {
				u, err := url.Parse(strings.Fields(seen)[1])
				if err != nil {
					t.Fatal(err)
				}
				queries = append(queries, u.RawQuery)
			}
			if !slices.Equal(queries, c.queries) {
				t.Errorf("asked %q, want %q", queries, c.queries)
			}
		})
	}
}

func TestNewChecksTheEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "localhost:8000", "ftp://x", "http://", "http://u:topsecret@x", "http://x?y", "http://x\n"} {
		if _, err := New(Config{Endpoint: endpoint}); err == nil {
			t.Errorf("%q was taken", endpoint)
		} else if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("the password is in %q", err)
		}
	}
	for _, endpoint := range []string{"http://h:1", "http://h:1/", "http://h:1/api/v1", "http://h:1/api/v1/"} {
		c, err := New(Config{Endpoint: endpoint})
		if err != nil || c.base != "http://h:1/api/v1" {
			t.Errorf("%q: %+v, %v", endpoint, c, err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
