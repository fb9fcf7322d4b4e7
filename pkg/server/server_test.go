package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// bodies are requests that are well formed, by operation.
var bodies = map[string]string{
	"importStart":              `{"source_uri":"s3://b/","prepend":""}`,
	"importStatus":             `{"import_id":"x"}`,
	"importCancel":             `{"import_id":"x"}`,
	"ingestRange":              `{"fromSourceURI":"s3://b/","after":"","prepend":""}`,
	"createMetaRange":          `{"ranges":[]}`,
	"createRepository":         `{"name":"pond","storage_namespace":"s3://b/"}`,
	"createTag":                `{"id":"v2","ref":"main"}`,
	"createBranch":             `{"name":"dev","source":"main"}`,
	"commit":                   `{"message":"m"}`,
	"trySource":                `{"source":"s3://b/"}`,
	"compareMetaRange":         `{"source":"s3://b/"}`,
	"revertBranch":             `{"ref":"c2","parent_number":0}`,
	"postStatsEvents":          `{"events":[]}`,
	"resetBranch":              `{"type":"reset"}`,
	"setRepositoryMetadata":    `{"metadata":{}}`,
	"deleteRepositoryMetadata": `{"keys":[]}`,
	"createUser":               `{"id":"zoe"}`,
}

// names are what the wildcards of paths stand for in requests, and query is their query.
var names = strings.NewReplacer(
	"{repository}", "lake", "{branch}", "main", "{ref}", "main", "{sourceRef}", "main", "{destinationBranch}", "main", "{commitId}", "main",
	"{tag}", "v1.0", "{metarange}", "m2", "{leftRef}", "main", "{rightRef}", "main",
	"{userId}", "ann", "{accessKeyId}", "RFX", "{groupId}", "TeamA", "{policyId}", "ImportA",
)

const query = "?path=a&ref=a&task_id=a"

// operations calls f for every operation of api/openapi.yaml that needs credentials.
func operations(t *testing.T, f func(id, method, target, body string)) {
	t.Helper()
	text, err := os.ReadFile("../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Paths map[string]map[string]yaml.Node
	}
	if err := yaml.Unmarshal(text, &contract); err != nil {
		t.Fatal(err)
	}
	for path, item := range contract.Paths {
		for method, node := range item {
			var op struct {
				OperationID string      `yaml:"operationId"`
				Security    *[]struct{} `yaml:"security"`
			}
			if method == "parameters" || node.Decode(&op) != nil || op.Security != nil {
				continue
			}
			f(op.OperationID, strings.ToUpper(method), "/api/v1"+names.Replace(path)+query, bodies[op.OperationID])
		}
	}
}

// A handler that forgot to authenticate its requests would be open to everybody.
func TestEveryOperationAuthenticates(t *testing.T) {
	f := newFixture(t)
	n := 0
	operations(t, func(id, method, target, body string) {
		n++
		for name, header := range map[string][]string{
			"none":          nil,
			"unknown kind":  {"Negotiate x"},
			"unreadable":    {"Basic !!!"},
			"another kind":  {"Bearer x"},
			"wrong secret":  {basic(testKey, testSecret+"x")},
			"wrong id":      {basic("x", testSecret)},
			"empty":         {basic("", "")},
			"second header": {basic(testKey, testSecret), basic(testKey, testSecret)},
		} {
			code, want := 401, `{"message":"error authenticating request"}`
			if name == "second header" {
				code, want = 400, `{"message":"Authorization: 2 headers, want one"}`
			}
			w := f.do(method, target, body, http.Header{"Authorization": header})
			if got := strings.TrimSpace(w.Body.String()); w.Code != code || got != want {
				t.Errorf("%s with %s: %d %s", id, name, w.Code, got)
			}
		}
	})
	if all := reflect.TypeFor[api.ServerInterface]().NumMethod(); n != all-len(openOperations) {
		t.Errorf("%d operations of %d need credentials, want all but %d", n, all, len(openOperations))
	}
	if strings.Contains(f.log.String(), testSecret) || strings.Contains(f.log.String(), basic(testKey, testSecret)) {
		t.Error("the log holds the secret")
	}
}

// No operation tells the client more about an error of the service than to try again.
func TestErrorsOfTheService(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Auth = oneUser{err: errors.New("secret detail")} })
	operations(t, func(id, method, target, body string) {
		w := f.do(method, target, body, nil)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "detail") {
			t.Errorf("%s: %d %v %s", id, w.Code, w.Header(), w.Body)
		}
	})
	if !strings.Contains(f.log.String(), "secret detail") {
		t.Error("the log does not contain the error")
	}
}

func TestRouting(t *testing.T) {
	const none = `{"message":"invalid API endpoint"}`
	const method = `{"message":"method not allowed"}`
	for _, x := range []exchange{
		{"unknown endpoint", "GET", "/api/v1/auth/none", "", nil, 404, none},
		{"unknown path", "GET", "/x", "", nil, 404, none},
		{"profiles", "GET", "/debug/pprof/heap", "", nil, 404, none},
		{"variables", "GET", "/debug/vars", "", nil, 404, none},
		{"below an endpoint", "GET", "/api/v1/repositories/lake/branches/main/import/x", "", nil, 404, none},
		{"put", "PUT", importPath, "{}", nil, 405, method},
		{"get of ranges is a branch", "GET", "/api/v1/repositories/lake/branches/ranges", "", nil, 404, `{"message":"branch not found"}`},
		{"delete", "DELETE", "/api/v1/repositories", "", nil, 405, method},
		{"health", "GET", "/_health", "", http.Header{"Authorization": nil}, 200, `{}`},
		{"ready", "GET", "/_ready", "", http.Header{"Authorization": nil}, 200, `{}`},
		{"health, post", "POST", "/_health", "", nil, 405, method},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
}

func TestParametersAreBounded(t *testing.T) {
	const ls = "/api/v1/repositories/lake/refs/main/objects/"
	key := strings.Repeat("k", limits.Key)
	body := func(name string) string {
		return `{"message":"parameter \"` + name + `\" in query has an error: 1025 bytes, at most 1024 are allowed"}`
	}
	for _, x := range []exchange{
		{"longest key", "GET", ls + "stat?path=" + key, "", nil, 404, `{"message":"object not found"}`},
		{"longest key, escaped", "GET", ls + "stat?path=" + strings.Repeat("%6B", limits.Key), "", nil, 404, `{"message":"object not found"}`},
		{"path", "GET", ls + "stat?path=k" + key, "", nil, 400, body("path")},
		{"after", "GET", ls + "ls?after=k" + key, "", nil, 400, body("after")},
		{"prefix", "GET", ls + "ls?prefix=k" + key, "", nil, 400, body("prefix")},
		{"second value", "GET", ls + "ls?delimiter=a&delimiter=k" + key, "", nil, 400, body("delimiter")},
		{"long name", "GET", ls + "ls?" + key + "=k" + key, "", nil, 400, body(key[:64] + "...")},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			f.service.tree = treeOf(t, "a")
			x.run(t, f)
		})
	}
}

func TestNotReady(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Ready = func(context.Context) error { return errors.New("no connection to NATS") } })
	exchange{"", "GET", "/_ready", "", nil, 503, `{"message":"no connection to NATS"}`}.run(t, f)
}

// Requests wait for a short outage to end. During a longer one every operation reports it.
func TestRequestsWaitForTheServiceToBeReady(t *testing.T) {
	for name, c := range map[string]struct {
		away, took time.Duration
	}{
		"a moment":   {3 * time.Second, 3 * time.Second},
		"for longer": {time.Hour, maxWait},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var back time.Time
				f := newFixture(t, func(c *Config) {
					c.Ready = func(context.Context) error {
						if time.Now().Before(back) {
							return errors.New("NATS is out of reach")
						}
						return nil
					}
				})
				operations(t, func(id, method, target, body string) {
					begun := time.Now()
					back = begun.Add(c.away)
					w := f.do(method, target, body, nil)
					if took := time.Since(begun); took != c.took {
						t.Errorf("%s: answered after %v, want %v", id, took, c.took)
					}
					const want = `{"message":"NATS is out of reach, try again (request fresh-id)"}`
					told := w.Code == 503 && w.Header().Get("Retry-After") != "" && strings.TrimSpace(w.Body.String()) == want
					if told != (c.away > maxWait) {
						t.Errorf("%s: %d %v %s", id, w.Code, w.Header(), w.Body)
					}
				})
			})
		})
	}
}

// An outage that begins while a request is served is reported, too.
func TestAnOutageWhileServing(t *testing.T) {
	var out error
	f := newFixture(t, func(c *Config) {
		c.Ready = func(context.Context) error { return out }
		c.Service = failing{err: func() error { out = errors.New("NATS is out of reach"); return errors.New("no answer") }}
	})
	exchange{"", "GET", importPath + "?id=x", "", nil, 503, `{"message":"NATS is out of reach, try again (request fresh-id)"}`}.run(t, f)
}

// failing is a service whose Status is an error.
type failing struct {
	Service
	err func() error
}

func (f failing) Status(context.Context, string, string) (coordinator.Status, error) {
	return coordinator.Status{}, f.err()
}

func TestRequestID(t *testing.T) {
	for sent, want := range map[string]string{
		"":                       "fresh-id",
		"a-B_9.z:":               "a-B_9.z:",
		"two words":              "fresh-id",
		"line\nbreak":            "fresh-id",
		strings.Repeat("x", 128): strings.Repeat("x", 128),
		strings.Repeat("x", 129): "fresh-id",
	} {
		w := newFixture(t).do("GET", "/api/v1/none", "", http.Header{"X-Request-Id": {sent}})
		if got := w.Header().Get("X-Request-Id"); got != want {
			t.Errorf("sent %q, got %q, want %q", sent, got, want)
		}
	}
}

func TestObserved(t *testing.T) {
	f := newFixture(t)
	f.do("GET", importPath+"?id=x", "", http.Header{"X-Request-Id": {"r1"}})
	f.do("BREW", "/api/v1/repositories/secret-name", "", nil)
	w := f.do("GET", "/metrics", "", http.Header{"Authorization": nil})
	for _, line := range []string{
		`rangefleet_http_requests_in_flight 1`, // this one
		`rangefleet_http_requests_total{api="imports",code="4xx"} 1`,
		`rangefleet_http_requests_total{api="other",code="4xx"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("/metrics has no line %s", line)
		}
	}
	var entry map[string]any
	first, _, _ := strings.Cut(f.log.String(), "\n")
	if err := json.Unmarshal([]byte(first), &entry); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]any{
		"msg": "request", "request_id": "r1", "method": "GET", "code": 404.0, "duration_seconds": 0.0, "client": "192.0.2.1", "user": "admin",
		"route": "/api/v1/repositories/{repository}/branches/{branch}/import",
	} {
		if entry[k] != v {
			t.Errorf("log %s = %v, want %v", k, entry[k], v)
		}
	}
	before := len(f.log.String())
	f.do("GET", "/api/v1/repositories/lake", "", nil)
	f.do("GET", "/_ready", "", nil)
	f.do("GET", "/api/v1/repositories/pond", "", nil)
	if log := f.log.String()[before:]; strings.Count(log, `"level":"DEBUG"`) != 2 || strings.Count(log, `"level":"INFO"`) != 1 {
		t.Errorf("two successful requests and one that failed should be logged at debug and info: %s", log)
	}
	if strings.Contains(f.log.String()+w.Body.String(), "secret-name") {
		t.Error("log or metrics hold a name that a client chose")
	}
}

// panicking is a service with a bug.
type panicking struct{ Service }

func (panicking) Tree(context.Context, string, string) (*metarange.Tree, error) { panic("a bug") }

func TestPanic(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Service = panicking{} })
	x := exchange{"", "GET", "/api/v1/repositories/lake/refs/main/objects/ls", "", nil, 500, `{"message":"internal server error (request fresh-id)"}`}
	x.run(t, f)
	if log := f.log.String(); !strings.Contains(log, `"panic":"a bug"`) || !strings.Contains(log, `"code":500`) {
		t.Errorf("log %s", log)
	}
}

// The trace of a panic has no secret that its handler holds: neither in text, nor as the arguments
// of the functions on its stack.
func TestPanicsTellNoSecrets(t *testing.T) {
	h := newHousehold(t, func(c *Config) { c.Service = panicking{} })
	const target = "/api/v1/repositories/lake/refs/main/objects/ls"
	l := logIn(t, h, nil)
	for name, header := range map[string]http.Header{"key": h.login["ann"], "token": l.bearer(), "cookie": l.cookies()} {
		if w := l.without("GET", target, header); w.Code != 500 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	log := h.log.String()
	_, key, _ := (&http.Request{Header: h.login["ann"]}).BasicAuth()
	for name, secret := range map[string]string{"secret": key, "header": h.login["ann"].Get("Authorization"), "token": l.token, "cookie": l.cookie.Value} {
		if traces := strings.Count(log, `"stack":"`); traces != 3 || strings.Contains(log, strings.TrimPrefix(secret, "Basic ")) || strings.Contains(log, fmt.Sprintf("%x", secret)) {
			t.Errorf("%d traces, which may hold the %s", traces, name)
		}
	}
}

// watched is a service that reports the deadlines of calls.
type watched struct {
	Service
	left chan time.Duration
}

func (s watched) Status(ctx context.Context, _, _ string) (coordinator.Status, error) {
	s.look(ctx)
	return coordinator.Status{}, context.DeadlineExceeded
}

func (s watched) IngestRange(ctx context.Context, _ string, _ coordinator.Ingest) (coordinator.Ingested, error) {
	s.look(ctx)
	return coordinator.Ingested{}, context.DeadlineExceeded
}

func (s watched) CreateMetarange(ctx context.Context, _ string, _ []partition.RangeMetadata) (string, error) {
	s.look(ctx)
	return "", context.DeadlineExceeded
}

func (s watched) look(ctx context.Context) {
	at, _ := ctx.Deadline()
	s.left <- time.Until(at)
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const branches = "/api/v1/repositories/lake/branches/"
		left := make(chan time.Duration, 1)
		f := newFixture(t, func(c *Config) { c.Service = watched{left: left} })
		for _, x := range []struct {
			method, target, body string
			left                 time.Duration
		}{
			{"GET", importPath + "?id=x", "", api.AnswerWithin},
			{"POST", branches + "ranges", bodies["ingestRange"], requestTimeout},
			{"POST", branches + "metaranges", bodies["createMetaRange"], requestTimeout},
		} {
			w := f.do(x.method, x.target, x.body, nil)
			if d := <-left; d != x.left {
				t.Errorf("%s: %v left, want %v", x.target, d, x.left)
			}
			if w.Code != 503 {
				t.Errorf("%s: code %d", x.target, w.Code)
			}
		}
	})
	f := newFixture(t)
	if srv := &NewHTTPServer(f, f.metrics, slog.New(slog.DiscardHandler)).http; srv.ReadHeaderTimeout == 0 || srv.ReadTimeout == 0 || srv.IdleTimeout == 0 || srv.WriteTimeout <= requestTimeout {
		t.Error("the server has no timeout, or cuts off answers that time out")
	}
}
