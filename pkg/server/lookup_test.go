package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/table"
)

func TestCatalog(t *testing.T) {
	const base = "/api/v1/repositories"
	const repo = `{"creation_date":1772600767,"default_branch":"main","id":"lake","storage_namespace":"s3://b/ns"}`
	const c2 = `{"committer":"admin","creation_date":1772600767,"generation":2,"id":"c2","message":"Import objects","meta_range_id":"m2","metadata":{".lakefs.merge.strategy":"source-wins"},"parents":["c1"],"version":1}`
	const c1 = `{"committer":"admin","creation_date":1772600767,"generation":1,"id":"c1","message":"Repository created","meta_range_id":"","metadata":{},"parents":[],"version":1}`
	list := func(more, next, n, results string) string {
		return `{"pagination":{"has_more":` + more + `,"max_per_page":1000,"next_offset":"` + next + `","results":` + n + `},"results":[` + results + `]}`
	}
	for _, x := range []exchange{
		{"repositories", "GET", base, "", nil, 200, list("false", "", "1", repo)},
		{"repositories, more", "GET", base + "?amount=1", "", nil, 200, list("true", "lake", "1", repo)},
		{"repositories, none", "GET", base + "?prefix=pond", "", nil, 200, list("false", "", "0", "")},
		{"repositories, found", "GET", base + "?search=ak", "", nil, 200, list("false", "", "1", repo)},
		{"repositories, not found", "GET", base + "?search=x", "", nil, 200, list("false", "", "0", "")},
		{"amount too large", "GET", base + "?amount=1001", "", nil, 400, `{"message":"parameter \"amount\" in query has an error: at most 1000"}`},
		{"amount negative", "GET", base + "?amount=-1", "", nil, 200, list("false", "", "1", repo)},
		{"create", "POST", base, `{"name":"pond","storage_namespace":"local:///p"}`, nil, 201, `{"creation_date":1772600767,"default_branch":"main","id":"pond","storage_namespace":"local:///p"}`},
		{"create, branch", "POST", base, `{"name":"pond","storage_namespace":"local:///p","default_branch":"trunk"}`, nil, 201, `{"creation_date":1772600767,"default_branch":"trunk","id":"pond","storage_namespace":"local:///p"}`},
		{"delete", "DELETE", base + "/lake", "", nil, 204, ""},
		{"delete, as lakectl asks", "DELETE", base + "/lake?force=false", "", nil, 204, ""},
		{"delete what is not there", "DELETE", base + "/pond", "", nil, 404, `{"message":"repository not found"}`},
		{"delete what is in use", "DELETE", base + "/busy", "", nil, 409, `{"message":"repository has running imports"}`},
		{"create again", "POST", base, `{"name":"lake","storage_namespace":"local:///p"}`, nil, 409, `{"message":"repository already exists"}`},
		{"create again where nothing can be stored", "POST", base, `{"name":"lake","storage_namespace":"local:///etc"}`, nil, 409, `{"message":"repository already exists"}`},
		{"create where nothing can be stored", "POST", base, `{"name":"pond","storage_namespace":"local:///etc"}`, nil, 400, `{"message":"storage_namespace: /etc lies outside of the allowed directories"}`},
		{"create where the store does not answer", "POST", base, `{"name":"pond","storage_namespace":"s3://away"}`, nil, 503, `{"message":"storage_namespace: the store does not answer"}`},
		{"create, no namespace", "POST", base, `{"name":"pond"}`, nil, 400, `{"message":"request body has an error: storage_namespace: value is required but missing"}`},
		{"get", "GET", base + "/lake", "", nil, 200, repo},
		{"get, none", "GET", base + "/pond", "", nil, 404, `{"message":"repository not found"}`},
		{"branches", "GET", base + "/lake/branches", "", nil, 200, list("false", "", "1", `{"commit_id":"c2","id":"main"}`)},
		{"branches, none", "GET", base + "/pond/branches", "", nil, 404, `{"message":"repository not found"}`},
		{"branch", "GET", base + "/lake/branches/main", "", nil, 200, `{"commit_id":"c2","id":"main"}`},
		{"branch, none", "GET", base + "/lake/branches/ranges", "", nil, 404, `{"message":"branch not found"}`},
		{"create branch", "POST", base + "/lake/branches", `{"name":"dev","source":"main"}`, nil, 201, "c2"},
		{"create branch, none", "POST", base + "/lake/branches", `{"name":"dev","source":"x"}`, nil, 404, `{"message":"branch not found"}`},
		{"create branch, no source", "POST", base + "/lake/branches", `{"name":"dev"}`, nil, 400, `{"message":"request body has an error: source: value is required but missing"}`},
		{"reset", "PUT", base + "/lake/branches/main/hard_reset?ref=c1", "", nil, 204, ""},
		{"reset, as lakectl asks", "PUT", base + "/lake/branches/main/hard_reset?ref=c1&force=true", "", nil, 204, ""},
		{"reset, no ref", "PUT", base + "/lake/branches/main/hard_reset", "", nil, 400, `{"message":"parameter \"ref\" in query has an error: value is required but missing"}`},
		{"reset, no branch", "PUT", base + "/lake/branches/dev/hard_reset?ref=c1", "", nil, 404, `{"message":"branch not found"}`},
		{"reset, moved meanwhile", "PUT", base + "/lake/branches/main/hard_reset?ref=lost", "", nil, 409, `{"message":"branch was moved by somebody else"}`},
		{"reset, no credentials", "PUT", base + "/lake/branches/main/hard_reset?ref=c1", "", http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
		{"reset, wrong method", "POST", base + "/lake/branches/main/hard_reset?ref=c1", "", nil, 405, `{"message":"method not allowed"}`},
		{"revert", "POST", base + "/lake/branches/main/revert", `{"ref":"c2","parent_number":0}`, nil, 204, ""},
		{"revert, no ref", "POST", base + "/lake/branches/main/revert", `{"parent_number":0}`, nil, 400, `{"message":"request body has an error: ref: value is required but missing"}`},
		{"revert, no branch", "POST", base + "/lake/branches/dev/revert", `{"ref":"c2","parent_number":0}`, nil, 404, `{"message":"branch not found"}`},
		{"revert, changed since", "POST", base + "/lake/branches/main/revert", `{"ref":"lost","parent_number":0}`, nil, 409, `{"message":"changed by a later commit"}`},
		{"log", "GET", base + "/lake/refs/main/commits", "", nil, 200, list("false", "", "2", c2+","+c1)},
		{"log, page 1", "GET", base + "/lake/refs/main/commits?amount=1", "", nil, 200, list("true", "c2", "1", c2)},
		{"log, page 2", "GET", base + "/lake/refs/main/commits?amount=1&after=c2", "", nil, 200, list("false", "", "1", c1)},
		{"tags", "GET", base + "/lake/tags", "", nil, 200, list("false", "", "1", `{"commit_id":"c1","id":"v1.0"}`)},
		{"tags, more", "GET", base + "/lake/tags?prefix=more", "", nil, 200, list("true", "v1.0", "1", `{"commit_id":"c1","id":"v1.0"}`)},
		{"tag", "GET", base + "/lake/tags/v1.0", "", nil, 200, `{"commit_id":"c1","id":"v1.0"}`},
		{"tag, none", "GET", base + "/lake/tags/v2", "", nil, 404, `{"message":"tag not found"}`},
		{"create tag", "POST", base + "/lake/tags", `{"id":"v2","ref":"main","force":false}`, nil, 201, `{"commit_id":"c2","id":"v2"}`},
		{"create tag again", "POST", base + "/lake/tags", `{"id":"v1.0","ref":"main"}`, nil, 409, `{"message":"tag already exists: not unique"}`},
		{"create tag of nothing", "POST", base + "/lake/tags", `{"id":"v2","ref":"none"}`, nil, 404, `{"message":"branch not found"}`},
		{"create tag without a ref", "POST", base + "/lake/tags", `{"id":"v2"}`, nil, 400, `{"message":"request body has an error: ref: value is required but missing"}`},
		{"delete tag", "DELETE", base + "/lake/tags/v1.0?force=true", "", nil, 204, ""},
		{"delete tag, none", "DELETE", base + "/lake/tags/v2", "", nil, 404, `{"message":"tag not found"}`},
		{"log, limit", "GET", base + "/lake/refs/main/commits?amount=1&limit=true&after=&stop_at=&first_parent=false", "", nil, 200, list("false", "", "1", c2)},
		{"log, first parent", "GET", base + "/lake/refs/main/commits?first_parent=true", "", nil, 200, list("false", "", "1", c1)},
		{"log, stop at", "GET", base + "/lake/refs/main/commits?stop_at=c2", "", nil, 200, list("false", "", "1", c2)},
		{"log, since", "GET", base + "/lake/refs/main/commits?since=2026-03-04T05%3A06%3A07Z", "", nil, 200, list("false", "", "1", c2)},
		{"log of objects", "GET", base + "/lake/refs/main/commits?objects=c1&objects=", "", nil, 200, list("false", "", "1", c1)},
		{"log of prefixes", "GET", base + "/lake/refs/main/commits?prefixes=x&prefixes=c&amount=1", "", nil, 200, list("true", "c2", "1", c2)},
		{"log of nothing in particular", "GET", base + "/lake/refs/main/commits?objects=&prefixes=", "", nil, 200, list("false", "", "2", c2+","+c1)},
		{"log of too many objects", "GET", base + "/lake/refs/main/commits?" + strings.Repeat("objects=a&", 101), "", nil, 400, `{"message":"objects: 101 elements, at most 100 are allowed"}`},
		{"commit", "GET", base + "/lake/commits/main", "", nil, 200, c2},
		{"commit, none", "GET", base + "/lake/commits/x", "", nil, 404, `{"message":"branch not found"}`},
		{"log, none", "GET", base + "/lake/refs/x/commits", "", nil, 404, `{"message":"branch not found"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
}

// awkward keys, in no order.
var awkward = []string{
	" lead", "!", "#?&=;", "%3A", "%zz", "+", "a", "a b", "a%2Fb", "a+b", "a/", "a/b/c", "a//b", "a\u2028b",
	"é,ü", "\"<>&'\\", "\x01\n\t", "日本", "\U0001F600/x", strings.Repeat("k", 1000),
}

// TestAwkwardKeys checks that parameters and bodies carry keys byte for byte.
func TestAwkwardKeys(t *testing.T) {
	keys := slices.Clone(awkward)
	slices.Sort(keys)
	f := newFixture(t)
	f.service.tree = treeOf(t, keys...)
	const refs = "/api/v1/repositories/lake/refs/main/objects/"
	var list api.ObjectStatsList
	var got []string
	for after, more := "", true; more; after, more = list.Pagination.NextOffset, list.Pagination.HasMore {
		w := f.do("GET", refs+"ls?amount=3&after="+url.QueryEscape(after), "", nil)
		list = api.ObjectStatsList{}
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
			t.Fatalf("list after %q: %d %s %v", after, w.Code, w.Body, err)
		}
		for _, o := range list.Results {
			got = append(got, o.Path)
		}
	}
	if strings.Join(got, "\x00") != strings.Join(keys, "\x00") {
		t.Errorf("listed\n%q\nwant\n%q", got, keys)
	}
	for _, k := range keys {
		var o api.ObjectStats
		w := f.do("GET", refs+"stat?path="+url.QueryEscape(k), "", nil)
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil || o.Path != k || o.PhysicalAddress != "s3://src/"+k {
			t.Errorf("stat %q: %d %s %v", k, w.Code, w.Body, err)
		}
	}
}

func TestObjects(t *testing.T) {
	const refs = "/api/v1/repositories/lake/refs/main/objects/"
	const unsigned = `{"message":"parameter \"presign\" in query has an error: true is not supported: this server signs no URLs"}`
	object := func(key string) string {
		return `{"checksum":"e","content_type":"application/octet-stream","metadata":{},"mtime":1772600767,"path":"` + key + `","path_type":"object","physical_address":"s3://src/` + key + `","size_bytes":7}`
	}
	prefix := func(p string) string {
		return `{"checksum":"","mtime":0,"path":"` + p + `","path_type":"common_prefix","physical_address":"","size_bytes":0}`
	}
	list := func(more, next, n, results string) string {
		return `{"pagination":{"has_more":` + more + `,"max_per_page":1000,"next_offset":"` + next + `","results":` + n + `},"results":[` + results + `]}`
	}
	for _, x := range []exchange{
		{"directories", "GET", refs + "ls?delimiter=/", "", nil, 200, list("false", "", "3", prefix("a/")+","+object("b")+","+prefix("c/"))},
		{"directories, page", "GET", refs + "ls?delimiter=/&amount=1", "", nil, 200, list("true", "a/", "1", prefix("a/"))},
		{"directories, next", "GET", refs + "ls?delimiter=/&after=a/", "", nil, 200, list("false", "", "2", object("b")+","+prefix("c/"))},
		{"prefix", "GET", refs + "ls?prefix=a/", "", nil, 200, list("false", "", "2", object("a/%3A")+","+object("a/x"))},
		{"a plus is a space", "GET", refs + "ls?prefix=a+", "", nil, 200, list("false", "", "0", "")},
		{"stat", "GET", refs + "stat?path=a/%253A", "", nil, 200, object("a/%3A")},
		{"stat, decoded twice", "GET", refs + "stat?path=a/%3A", "", nil, 404, `{"message":"object not found"}`},
		{"stat, with metadata", "GET", refs + "stat?path=b&user_metadata=true&presign=false", "", nil, 200, object("b")},
		{"stat, presigned", "GET", refs + "stat?path=b&presign=true", "", nil, 400, unsigned},
		{"list, presigned", "GET", refs + "ls?presign=true", "", nil, 400, unsigned},
		{"stat, no path", "GET", refs + "stat", "", nil, 400, `{"message":"parameter \"path\" in query has an error: value is required but missing"}`},
		{"stat, not UTF-8", "GET", refs + "stat?path=%ff", "", nil, 400, `{"message":"parameter \"path\" in query has an error: not valid UTF-8"}`},
		{"stat, bad escape", "GET", refs + "stat?path=%zz", "", nil, 400, `{"message":"query has an error: invalid URL escape \"%zz\""}`},
		{"no ref", "GET", "/api/v1/repositories/lake/refs/x/objects/ls", "", nil, 404, `{"message":"ref not found"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			f.service.tree = treeOf(t, "a/%3A", "a/x", "b", "c/y")
			x.run(t, f)
		})
	}
}

func TestUnreadableTree(t *testing.T) {
	for _, call := range []string{"/ls", "/stat?path=a", "?path=a"} {
		f := newFixture(t)
		f.service.err = errors.New("read metarange m2: AccessDenied")
		exchange{call, "GET", "/api/v1/repositories/lake/refs/main/objects" + call, "", nil, 503, `{"message":"read metarange m2: AccessDenied, try again (request fresh-id)"}`}.run(t, f)
		f.service.err = fmt.Errorf("read metarange m2: %w: checksum", table.ErrCorrupt)
		exchange{call, "GET", "/api/v1/repositories/lake/refs/main/objects" + call, "", nil, 500, `{"message":"read metarange m2: corrupt table: checksum"}`}.run(t, f)
	}
}

func TestPathNotUTF8(t *testing.T) {
	exchange{"", "GET", "/api/v1/repositories/%ff", "", http.Header{}, 400, `{"message":"path has an error: not valid UTF-8"}`}.run(t, newFixture(t))
}

// TestBranchesAreMoved checks what the service is called with.
func TestBranchesAreMoved(t *testing.T) {
	f := newFixture(t)
	const branch = "/api/v1/repositories/lake/branches/main"
	f.do("PUT", branch+"/hard_reset?ref=c1&force=true", "", nil)
	if f.service.moved != "admin lake main c1" {
		t.Errorf("reset %q", f.service.moved)
	}
	body := `{"ref":"c2","parent_number":1,"allow_empty":true,"force":true,"commit_overrides":{"message":"m","metadata":{"k":"v"}}}`
	f.do("POST", branch+"/revert", body, nil)
	want := coordinator.Revert{
		Repository: "lake", Branch: "main", Ref: "c2", Parent: 1, AllowEmpty: true, Committer: "admin",
		Message: "m", Metadata: map[string]string{"k": "v"},
	}
	if !reflect.DeepEqual(f.service.reverted, want) {
		t.Errorf("reverted %+v, want %+v", f.service.reverted, want)
	}
}
