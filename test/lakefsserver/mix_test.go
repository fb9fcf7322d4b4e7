package lakefsserver_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// mix makes up requests of all kinds that a lakeFS server is sent. Where they name the
// repository {repo}, the server {host}, or the session {session}, each server gets its own.
type mix struct {
	*rand.Rand
	assets []string // paths of files of the web UI
}

// kind is a kind of requests.
type kind struct {
	name   string
	weight int
	make   func() request
}

func (m *mix) kinds() []kind {
	return []kind{
		{"read", 20, m.read},
		{"content", 15, m.content},
		{"listing", 10, m.listing},
		{"upload", 10, m.upload},
		{"change", 10, m.change},
		{"s3", 20, m.s3},
		{"odd path", 10, m.oddPath},
		{"bad request", 10, m.bad},
		{"written by hand", 4, m.byHand},
		{"session", 6, m.session},
		{"web ui", 8, m.webUI},
		{"unknown path", 4, m.unknown},
	}
}

// next returns a request and the name of its kind.
func (m *mix) next() (string, request) {
	kinds := m.kinds()
	all := 0
	for _, k := range kinds {
		all += k.weight
	}
	n := m.IntN(all)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k.name, k.make()
		}
	}
	panic("the weights are wrong")
}

func (m *mix) one(of ...string) string { return of[m.IntN(len(of))] }

func (m *mix) chance(percent int) bool { return m.IntN(100) < percent }

var basic = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(lakefstest.Admin.AccessKeyID+":"+lakefstest.Admin.SecretAccessKey))

// inRepo returns a request of the API whose path starts in the repository.
func (m *mix) inRepo(method, path string) request { return m.api(method, "/repositories/{repo}"+path) }

// api returns a request of the API, with headers that clients and proxies send.
func (m *mix) api(method, path string) request {
	r := request{method: method, target: "/api/v1" + path, header: []string{basic}}
	for _, line := range []string{
		"Accept-Encoding: gzip", "Accept: application/json, */*;q=0.5", "Origin: http://elsewhere.example", "X-Forwarded-For: 192.0.2.7",
		"Forwarded: for=192.0.2.7;proto=https", "X-Forwarded-Proto: https", "Cookie: a=b; c=\"d e\"", "TE: trailers", "Cache-Control: no-cache",
		"X-Odd: \xc3\xa9\xff", "User-Agent: lakectl/1.0", "Connection: X-Hop\r\nX-Hop: 1",
	} {
		if m.chance(6) {
			r.header = append(r.header, line)
		}
	}
	return r
}

func (m *mix) json(r request, format string, args ...any) request {
	r.header, r.body = append(r.header, "Content-Type: application/json"), fmt.Sprintf(format, args...)
	return r
}

// keys are few, so that what is read has often been written.
var keys = []string{
	"a", "a/", "a/b", "a//b", "a/b/c d", "é", "data/ü+ %2F", "x+y", "x%2Fy", "q?r=s&t", "#f", "s;t=u", "'(*)!~", `"<&>"`, "日本/語", "..", "a/../b", "./x", "last",
}

func (m *mix) key() string { return m.one(keys...) }

// escaped returns a key as different clients write it in a query or a path.
func (m *mix) escaped(key string) string {
	switch m.IntN(3) {
	case 0:
		return strings.ReplaceAll(url.QueryEscape(key), "+", "%20")
	case 1:
		return url.PathEscape(key)
	}
	var b strings.Builder
	for _, c := range []byte(key) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func (m *mix) branch() string { return m.one("main", "main", "main", "dev", "dev", "side", "none") }

func (m *mix) ref() string {
	if m.chance(70) {
		return m.branch()
	}
	return m.one("tag1", "tag2", "main~1", "main~99", "dev^1", "main@", "main$", "0123abcd", "%20", "a%2Fb")
}

func (m *mix) page() string {
	return m.one("", "?amount=1", "?amount=2&after="+m.escaped(m.key()), "?amount=0", "?amount=-1", "?amount=1000", "?amount=99999", "?amount=x", "?prefix=d", "?prefix={repo}")
}

func (m *mix) read() request {
	return m.oneOf(
		func() request { return m.inRepo(m.one("GET", "HEAD", "GET"), "") },
		func() request { return m.inRepo("GET", "/branches"+m.page()) },
		func() request { return m.inRepo("GET", "/branches/"+m.ref()) },
		func() request { return m.inRepo("GET", "/tags"+m.page()) },
		func() request { return m.inRepo("GET", "/tags/"+m.ref()) },
		func() request { return m.inRepo("GET", "/commits/"+m.ref()) },
		func() request { return m.inRepo("GET", "/refs/"+m.ref()+"/commits"+m.page()) },
		func() request { return m.inRepo("GET", "/refs/"+m.ref()+"/diff/"+m.ref()+m.page()) },
		func() request { return m.inRepo("GET", "/branches/"+m.branch()+"/diff"+m.page()) },
		func() request {
			return m.inRepo("GET", "/branches/"+m.branch()+"/import?id="+m.one("none", "%20x")+"&x=1")
		},
		func() request {
			return m.inRepo("GET", m.one("/metadata", "/settings/branch_protection", "/settings/gc_rules", "/actions/runs", "/pulls", "/refs/main/symlink"))
		},
		func() request { return m.api("GET", "/repositories?prefix={repo}&amount=1") },
		func() request {
			return m.api(m.one("GET", "HEAD"), m.one("/user", "/config", "/config/version", "/config/storage", "/setup_lakefs", "/healthcheck", "/auth/capabilities", "/auth/users", "/auth/users/admin"))
		},
	)
}

// oneOf returns what one of some functions returns.
func (m *mix) oneOf(of ...func() request) request { return of[m.IntN(len(of))]() }

func (m *mix) content() request {
	path := m.one("/objects", "/objects", "/objects/stat", "/objects/underlyingProperties")
	r := m.inRepo(m.one("GET", "GET", "HEAD"), "/refs/"+m.ref()+path+"?path="+m.escaped(m.key())+m.one("", "", "&user_metadata=true"))
	return m.conditional(r)
}

// conditional adds headers that ask for a part of the content, or for content that has changed.
func (m *mix) conditional(r request) request {
	if m.chance(50) {
		r.header = append(r.header, "Range: bytes="+m.one("0-0", "0-9", "1-", "-1", "-5", "5-2", "999999-", "0-999999999", "a-b", "0-1,3-4", ""))
	}
	if m.chance(20) {
		r.header = append(r.header, m.one(`If-None-Match: "x"`, "If-None-Match: *", "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", "If-Range: \"x\"", `If-Match: "x"`))
	}
	return r
}

func (m *mix) listing() request {
	query := url.Values{}
	for _, parameter := range []struct{ name, value string }{
		{"prefix", m.one("a", "a/", "data/", "日", "zz", m.key())},
		{"delimiter", m.one("/", "x", "")},
		{"after", m.key()},
		{"amount", m.one("0", "1", "3", "1000", "-5")},
		{"user_metadata", m.one("true", "false", "maybe")},
		{"unknown", "1"},
	} {
		if m.chance(40) {
			query.Set(parameter.name, parameter.value)
		}
	}
	return m.inRepo("GET", "/refs/"+m.ref()+"/objects/ls?"+query.Encode())
}

// text returns content for an object.
func (m *mix) text() string {
	n := []int{0, 1, 10, 1000, 1000, 40_000, 300_000}[m.IntN(7)]
	return strings.Repeat(m.one("a", "bc", "line\r\n", "\x00\xff"), n)
}

func (m *mix) upload() request {
	r := m.inRepo("POST", "/branches/"+m.branch()+"/objects?path="+m.escaped(m.key())+m.one("", "", "&force=true"))
	r.body, r.chunked = m.text(), m.chance(30)
	if m.chance(30) {
		const boundary = "x-of-the-tests"
		r.header = append(r.header, "Content-Type: multipart/form-data; boundary="+boundary)
		r.body = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"content\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n" + r.body + "\r\n--" + boundary + "--\r\n"
		return r
	}
	r.header = append(r.header, "Content-Type: "+m.one("application/octet-stream", "text/plain", "application/x-odd; a=\"b\""))
	for _, line := range []string{"Expect: 100-continue", "X-Lakefs-Meta-One: 1", "If-None-Match: *"} {
		if m.chance(10) {
			r.header = append(r.header, line)
		}
	}
	return r
}

func (m *mix) change() request {
	branch := m.branch()
	return m.oneOf(
		func() request { return m.inRepo("DELETE", "/branches/"+branch+"/objects?path="+m.escaped(m.key())) },
		func() request {
			return m.json(m.inRepo("POST", "/branches/"+branch+"/objects/delete"), `{"paths":[%q,%q]}`, m.key(), m.key())
		},
		func() request {
			return m.json(m.inRepo("POST", "/branches/"+branch+"/objects/copy?dest_path="+m.escaped(m.key())), `{"src_path":%q,"src_ref":"main"}`, m.key())
		},
		func() request {
			return m.json(m.inRepo("POST", "/branches"), `{"name":%q,"source":%q}`, m.one("dev", "side"), m.one("main", "none", "dev"))
		},
		func() request { return m.inRepo("DELETE", "/branches/"+m.one("side", "dev", "none")) },
		func() request {
			return m.json(m.inRepo("POST", "/tags"), `{"id":%q,"ref":%q}`, m.one("tag1", "tag2", "no tag"), branch)
		},
		func() request { return m.inRepo("DELETE", "/tags/"+m.one("tag1", "tag2", "none")) },
		func() request {
			return m.json(m.inRepo("POST", "/branches/"+branch+"/commits"), `{"message":"m%d","metadata":{"k":"é"},"allow_empty":%v}`, m.IntN(9), m.chance(30))
		},
		func() request {
			return m.json(m.inRepo("PUT", "/branches/"+m.one("dev", "side")), `{"type":%q,"path":"a/"}`, m.one("reset", "common_prefix", "object", "odd"))
		},
		func() request {
			return m.json(m.inRepo("POST", "/refs/"+branch+"/merge/"+m.branch()), `{"message":"merged","strategy":%q}`, m.one("", "source-wins", "dest-wins", "none"))
		},
		func() request {
			return m.json(m.inRepo("POST", "/branches/"+branch+"/revert"), `{"ref":"main","parent_number":%d}`, m.IntN(3))
		},
		func() request { return m.json(m.inRepo("POST", "/metadata"), `{"metadata":{"k%d":"v"}}`, m.IntN(3)) },
		func() request {
			return m.json(m.inRepo("PUT", "/settings/branch_protection"), `[{"pattern":%q}]`, m.one("stable*", "x"))
		},
		func() request {
			return m.json(m.api("POST", "/statistics"), `{"events":[{"class":"c","name":"n","count":1}]}`)
		},
	)
}
