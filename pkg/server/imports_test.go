package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

const importPath = "/api/v1/repositories/lake/branches/main/import"

// exchange is one request and its whole answer.
type exchange struct {
	name   string
	method string
	target string
	body   string
	header http.Header
	code   int
	want   string // "" is no body
}

func (x exchange) run(t *testing.T, f *fixture) {
	t.Helper()
	w := f.do(x.method, x.target, x.body, x.header)
	if w.Code != x.code {
		t.Errorf("code %d, want %d; body %s", w.Code, x.code, w.Body)
	}
	if got := strings.TrimSuffix(w.Body.String(), "\n"); got != x.want {
		t.Errorf("body\n%s\nwant\n%s", got, x.want)
	}
	wantType := []string{"application/json"}
	switch {
	case x.want == "":
		wantType = nil
	case x.want[0] != '{':
		wantType = []string{"text/plain; charset=utf-8"}
	}
	if got := w.Header()["Content-Type"]; !reflect.DeepEqual(got, wantType) {
		t.Errorf("Content-Type %q, want %q", got, wantType)
	}
	if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options %q", got)
	}
	if got := w.Header().Get("X-Request-Id"); got == "" {
		t.Error("no X-Request-Id")
	}
}

func TestStart(t *testing.T) {
	const id = `{"id":"cq3k2v0t5cs0a1b2c3d0"}`
	flat := coordinator.Start{
		Request: imports.Request{Repository: "lake", Branch: "main", Committer: "admin", Message: "m", Metadata: map[string]string{"key": "v"}},
		Paths:   []imports.Path{{Type: imports.CommonPrefix, URI: "s3://my-bucket/p/", Destination: "collections/"}},
	}
	paths := coordinator.Start{
		Request: imports.Request{Repository: "lake", Branch: "main", Committer: "admin", Message: "m"},
		Paths: []imports.Path{
			{Type: imports.CommonPrefix, URI: "s3://b/a%3A", Destination: ""},
			{Type: imports.Object, URI: "local:///d/😀", Destination: "x"},
		},
	}
	none := paths
	none.Paths = []imports.Path{}
	flatEmpty, pathsEmpty := flat, paths
	flatEmpty.Request.AllowEmpty, pathsEmpty.Request.AllowEmpty = true, true
	for _, c := range []struct {
		exchange
		started coordinator.Start
	}{
		{exchange{"flat", "POST", importPath, `{"source_uri":"s3://my-bucket/p/","prepend":"collections/","commit_message":"m","metadata":{"key":"v"}}`, nil, 201, id}, flat},
		{exchange{"flat, alias", "POST", importPath, `{"sourceURI":"s3://my-bucket/p/","prepend":"collections/","commit_message":"m","metadata":{"key":"v"},"x":[1]}`, nil, 201, id}, flat},
		{exchange{"paths", "POST", importPath, `{"paths":[{"type":"common_prefix","path":"s3://b/a%3A","destination":""},{"type":"object","path":"local:///d/\ud83d\ude00","destination":"x"}],"commit":{"message":"m","date":null,"allow_empty":false,"metadata":null},"force":true}`, nil, 202, id}, paths},
		{exchange{"flat, empty", "POST", importPath, `{"source_uri":"s3://my-bucket/p/","prepend":"collections/","commit_message":"m","metadata":{"key":"v"},"allow_empty":true}`, nil, 201, id}, flatEmpty},
		{exchange{"paths, empty", "POST", importPath, `{"paths":[{"type":"common_prefix","path":"s3://b/a%3A","destination":""},{"type":"object","path":"local:///d/\ud83d\ude00","destination":"x"}],"commit":{"message":"m"},"allow_empty":true}`, nil, 202, id}, pathsEmpty},
		{exchange{"an empty commit is no empty path", "POST", importPath, `{"paths":[],"commit":{"message":"m","allow_empty":true}}`, nil, 202, id}, none},
		{exchange{"no paths", "POST", importPath, `{"paths":[],"commit":{"message":"m"}}`, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, 202, id}, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			c.run(t, f)
			c.started.Request.Caller = access.Caller{User: access.Admin, Credential: access.Credential{Kind: access.AccessKey, ID: testKey}}
			if !reflect.DeepEqual(f.service.started, c.started) {
				t.Errorf("started %+v, want %+v", f.service.started, c.started)
			}
		})
	}
}

func TestStartRefused(t *testing.T) {
	const ok = `{"paths":[],"commit":{"message":""}}`
	body := func(text string) string { return `{"message":"request body has an error: ` + text + `"}` }
	for _, x := range []exchange{
		{"empty", "POST", importPath, ``, nil, 400, body("value is required but missing")},
		{"null", "POST", importPath, `null`, nil, 400, body("must be an object")},
		{"cut off", "POST", importPath, `{"paths":[`, nil, 400, body("malformed JSON at byte 10: unexpected end of JSON input")},
		{"two values", "POST", importPath, ok + ok, nil, 400, body("malformed JSON at byte 37: invalid character '{' after top-level value")},
		{"not UTF-8", "POST", importPath, "{\"source_uri\":\"s3://b/\xff\",\"prepend\":\"\"}", nil, 400, body("not valid UTF-8")},
		{"lone surrogate", "POST", importPath, `{"source_uri":"s3://b/\ud800","prepend":""}`, nil, 400, body("a string holds an unpaired surrogate")},
		{"no commit", "POST", importPath, `{"paths":[]}`, nil, 400, body("commit: value is required but missing")},
		{"no message", "POST", importPath, `{"paths":[],"commit":{}}`, nil, 400, body("commit.message: value is required but missing")},
		{"no paths", "POST", importPath, `{"commit":{"message":""}}`, nil, 400, body("paths: value is required but missing")},
		{"null paths", "POST", importPath, `{"paths":null,"commit":{"message":""}}`, nil, 400, body("paths: value is required but missing")},
		{"paths is no list", "POST", importPath, `{"paths":{},"commit":{"message":""}}`, nil, 400, body("paths: must be an array")},
		{"unknown type", "POST", importPath, `{"paths":[{"type":"glob","path":"s3://b/","destination":""}],"commit":{"message":""}}`, nil, 400, body(`paths[0].type: unknown value \"glob\"`)},
		{"no destination", "POST", importPath, `{"paths":[{"type":"object","path":"s3://b/"}],"commit":{"message":""}}`, nil, 400, body("paths[0].destination: value is required but missing")},
		{"metadata", "POST", importPath, `{"paths":[],"commit":{"message":"","metadata":{"k":1}}}`, nil, 400, body("commit.metadata.k: must be a string")},
		{"force", "POST", importPath, `{"paths":[],"commit":{"message":""},"force":"yes"}`, nil, 400, body("force: must be true or false")},
		{"allow_empty", "POST", importPath, `{"paths":[],"commit":{"message":""},"allow_empty":1}`, nil, 400, body("allow_empty: must be true or false")},
		{"date", "POST", importPath, `{"paths":[],"commit":{"message":"","date":1.5}}`, nil, 400, body("commit.date: must be a whole number in the range of int64")},
		{"no source", "POST", importPath, `{"prepend":""}`, nil, 400, body("source_uri: value is required but missing")},
		{"no prepend", "POST", importPath, `{"source_uri":"s3://b/"}`, nil, 400, body("prepend: value is required but missing")},
		{"two sources", "POST", importPath, `{"source_uri":"s3://b/","sourceURI":"s3://c/","prepend":""}`, nil, 400, body("sourceURI: differs from source_uri")},
		{"no type", "POST", importPath, ok, http.Header{"Content-Type": nil}, 400, body(`header Content-Type is missing, want application/json`)},
		{"form", "POST", importPath, ok, http.Header{"Content-Type": {"text/plain"}}, 400, body(`header Content-Type is \"text/plain\", want application/json`)},
		{"large", "POST", importPath, `{"prepend":"` + strings.Repeat("x", limits.Body) + `"}`, nil, 413, body("more than 1048576 bytes")},
		{"no branch", "POST", "/api/v1/repositories/lake/branches/dev/import", ok, nil, 404, `{"message":"branch not found"}`},
		{"no repository", "POST", "/api/v1/repositories/pond/branches/main/import", ok, nil, 404, `{"message":"repository not found"}`},
		{"no credentials, malformed", "POST", importPath, `{`, http.Header{"Authorization": nil}, 400, body("malformed JSON at byte 1: unexpected end of JSON input")},
		{"no credentials, large", "POST", importPath, `{"prepend":"` + strings.Repeat("x", limits.AnonymousBody), http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
		{"no credentials, no repository", "POST", "/api/v1/repositories/pond/branches/main/import", ok, http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			x.run(t, f)
			if f.service.started.Paths != nil {
				t.Error("the import was started")
			}
		})
	}
}

func TestStartFaults(t *testing.T) {
	const flat = `{"source_uri":"s3://b/ns","prepend":""}`
	const paths = `{"paths":[{"type":"object","path":"s3://b/ns","destination":"x"}],"commit":{"message":""}}`
	namespace := fault.BadField("paths[0].path", "invalid import source: inside a storage namespace")
	for _, c := range []struct {
		exchange
		err error
	}{
		{exchange{"source, paths", "POST", importPath, paths, nil, 400, `{"message":"paths[0].path: invalid import source: inside a storage namespace"}`}, namespace},
		{exchange{"source, flat", "POST", importPath, flat, nil, 400, `{"message":"source_uri: invalid import source: inside a storage namespace"}`}, namespace},
		{exchange{"conflict", "POST", importPath, flat, nil, 409, `{"message":"another import writes the branch"}`}, fault.Conflicting("another import writes the branch")},
		{exchange{"service", "POST", importPath, flat, nil, 503, `{"message":"service unavailable, try again (request fresh-id)"}`}, errors.New("a secret")},
		{exchange{"silent NATS", "POST", importPath, flat, nil, 503, `{"message":"NATS is reached, but has no quorum, or JetStream there does not answer: nothing is lost, try again (request fresh-id)"}`}, fmt.Errorf("a secret: %w", natsconn.ErrUnresponsive)},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.service.startErr = c.err
			c.run(t, f)
		})
	}
}

func statusIn(state imports.State) coordinator.Status {
	st := coordinator.Status{
		ID: string(state), Objects: 1200, Ranges: 3, Partitions: 2,
		Updated: time.Date(2026, 3, 4, 6, 6, 8, 123456789, time.FixedZone("CET", 3600)),
		Record:  imports.Record{State: state, Request: imports.Request{Repository: "lake", Branch: "main"}},
		Progress: coordinator.Progress{
			Listed: 1500, Estimate: coordinator.Estimate{Keys: 6000, Low: 3000, High: 9000}, PerSecond: 100.04, Remaining: 45 * time.Second,
			Elapsed: 1500 * time.Millisecond, Workers: 1, Queued: 0, Running: 2, Throttles: 4, Retries: 5,
		},
	}
	switch state {
	case imports.Completed:
		st.Commit = &imported
	case imports.Failed:
		st.Record.Error = "list s3://b/: NoSuchBucket"
	}
	return st
}

func newImports(t *testing.T) *fixture {
	f := newFixture(t)
	for _, s := range []imports.State{imports.Running, imports.Committing, imports.Completed, imports.Failed, imports.Canceled} {
		f.service.statuses[string(s)] = statusIn(s)
	}
	troubled := statusIn(imports.Committing)
	troubled.Record.Problem = "store metarange m: no space"
	f.service.statuses["troubled"] = troubled
	other := statusIn(imports.Running)
	other.Record.Request.Branch = "dev"
	f.service.statuses["other"] = other
	return f
}

func TestStatus(t *testing.T) {
	const head = `"ingested_objects":1200,`
	const tail = `"progress":{"elapsed_seconds":1.5,"estimated_objects":6000,"estimated_objects_high":9000,"estimated_objects_low":3000,"listed_objects":1500,"objects_per_second":100,"queued_partitions":0,"remaining_seconds":45,"retries":5,"running_partitions":2,"throttles":4,"workers":1},"ranges":3,"update_time":"2026-03-04T05:06:08.123456789Z"}`
	const running = `{"completed":false,` + head + `"partitions":2,"phase":"running",` + tail
	const missing = `{"message":"parameter \"id\" in query has an error: value is required but missing"}`
	for _, x := range []exchange{
		{"running", "GET", importPath + "?id=running", "", nil, 200, running},
		{"id in the body", "GET", importPath, `{"import_id":"running"}`, nil, 200, running},
		{"id in both", "GET", importPath + "?id=running", `{"import_id":"running"}`, nil, 200, running},
		{"committing", "GET", importPath + "?id=committing", "", nil, 200, `{"completed":false,` + head + `"partitions":2,"phase":"committing",` + tail},
		{"troubled", "GET", importPath + "?id=troubled", "", nil, 200, `{"completed":false,` + head + `"partitions":2,"phase":"committing","problem":"store metarange m: no space",` + tail},
		{"completed", "GET", importPath + "?id=completed", "", nil, 200, `{"commit":{"committer":"admin","creation_date":1772600767,"generation":2,"id":"c2","message":"Import objects","meta_range_id":"m2","metadata":{".lakefs.merge.strategy":"source-wins"},"parents":["c1"],"version":1},"completed":true,` + head + `"metarange_id":"m2","partitions":2,"phase":"completed",` + tail},
		{"failed", "GET", importPath + "?id=failed", "", nil, 200, `{"completed":false,"error":{"message":"import error: list s3://b/: NoSuchBucket"},` + head + `"partitions":2,"phase":"failed",` + tail},
		{"canceled", "GET", importPath + "?id=canceled", "", nil, 200, `{"completed":false,"error":{"message":"import error: Canceled"},` + head + `"partitions":2,"phase":"canceled",` + tail},
		{"unknown", "GET", importPath + "?id=nothing", "", nil, 404, `{"message":"not found"}`},
		{"no repository", "GET", "/api/v1/repositories/pond/branches/main/import?id=nothing", "", nil, 404, `{"message":"repository not found"}`},
		{"of another repository", "GET", "/api/v1/repositories/pond/branches/main/import?id=running", "", nil, 404, `{"message":"not found"}`},
		{"of another branch", "GET", importPath + "?id=other", "", nil, 404, `{"message":"not found"}`},
		{"no id", "GET", importPath, "", nil, 400, missing},
		{"empty id", "GET", importPath + "?id=", "", nil, 400, missing},
		{"two ids", "GET", importPath + "?id=a&id=b", "", nil, 400, `{"message":"parameter \"id\" in query has an error: multiple values for single value parameter 'id'"}`},
		{"ids differ", "GET", importPath + "?id=running", `{"import_id":"failed"}`, nil, 400, `{"message":"parameter \"id\" in query has an error: differs from import_id of the body"}`},
		{"malformed", "GET", importPath, `{"import_id":7}`, nil, 400, `{"message":"request body has an error: import_id: must be a string"}`},
		{"no credentials", "GET", importPath + "?id=running", "", http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newImports(t)) })
	}
}

// A client that reads completed uses the commit without checking that there is one.
func TestStatusNeedsCommit(t *testing.T) {
	st := statusIn(imports.Completed)
	st.Commit = nil
	if resp := statusOf(st); resp.Completed || resp.Phase != "committing" {
		t.Errorf("completed %v in phase %s without a commit", resp.Completed, resp.Phase)
	}
}

func TestCancel(t *testing.T) {
	for _, x := range []exchange{
		{"running", "DELETE", importPath + "?id=running", "", nil, 204, ""},
		{"id in the body", "DELETE", importPath, `{"import_id":"running"}`, nil, 204, ""},
		{"canceled", "DELETE", importPath + "?id=canceled", "", nil, 204, ""},
		{"failed", "DELETE", importPath + "?id=failed", "", nil, 204, ""},
		{"completed", "DELETE", importPath + "?id=completed", "", nil, 409, `{"message":"the import is completed"}`},
		{"unknown", "DELETE", importPath + "?id=nothing", "", nil, 404, `{"message":"not found"}`},
		{"of another branch", "DELETE", importPath + "?id=other", "", nil, 404, `{"message":"not found"}`},
		{"of another repository", "DELETE", "/api/v1/repositories/pond/branches/main/import?id=running", "", nil, 404, `{"message":"not found"}`},
		{"no id", "DELETE", importPath, "", nil, 400, `{"message":"parameter \"id\" in query has an error: value is required but missing"}`},
		{"no credentials", "DELETE", importPath + "?id=running", "", http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newImports(t)
			x.run(t, f)
			if asked := f.service.canceled != nil; asked != (x.code == 204 || x.code == 409) {
				t.Errorf("canceled %q", f.service.canceled)
			}
		})
	}
}

// namedUser authenticates everybody as one user.
func namedUser(name string) Authenticator { return anyKeys{name: name} }

// ReplaceKeys replaces nothing.
func (anyKeys) ReplaceKeys(context.Context) error { return nil }

type anyKeys struct {
	Authenticator
	name string
}

func (n anyKeys) Authenticate(_ context.Context, p auth.Presented) (access.Caller, error) {
	return access.Caller{User: n.name, Credential: access.Credential{Kind: access.AccessKey, ID: p.AccessKeyID()}}, nil
}

func (anyKeys) Cheap(auth.Presented) bool { return true }
