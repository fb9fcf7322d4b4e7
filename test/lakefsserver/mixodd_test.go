package lakefsserver_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// s3 returns a request to the S3 gateway.
func (m *mix) s3() request {
	object := "/{repo}/" + m.branch() + "/" + m.pathOf(m.key())
	r := m.oneOf(
		func() request { return m.conditional(request{method: m.one("GET", "GET", "HEAD"), target: object}) },
		func() request {
			return request{method: "PUT", target: object, body: m.text(), header: []string{"Content-Type: text/plain", "X-Amz-Meta-One: 1"}}
		},
		func() request { return request{method: "DELETE", target: object} },
		func() request {
			return request{method: "PUT", target: object, header: []string{"X-Amz-Copy-Source: {repo}/main/" + m.escaped(m.key())}}
		},
		func() request {
			return request{method: m.one("GET", "HEAD"), target: m.one("/{repo}", "/{repo}/", "/none", "/{repo}?location", "/{repo}?versioning", "/{repo}?uploads")}
		},
		func() request {
			return request{method: "GET", target: "/{repo}?list-type=2&prefix=" + m.one("", "main/", "main/a", "none/", m.branch()+"/"+m.escaped(m.key())) + m.one("", "&delimiter=%2F") + m.one("", "&max-keys=2", "&max-keys=x")}
		},
		func() request {
			return request{method: "GET", target: "/{repo}?prefix=main%2F&delimiter=%2F&marker=main%2Fa"}
		},
		func() request {
			return request{method: "POST", target: "/{repo}?delete", body: "<Delete><Object><Key>main/a/b</Key></Object></Delete>"}
		},
		func() request {
			return request{method: m.one("POST", "PUT", "DELETE"), target: object + m.one("?uploads", "?uploadId=none", "?partNumber=1&uploadId=none", "?tagging", "?acl")}
		},
		func() request { return request{method: "PUT", target: "/no-such-bucket"} },
	)
	r.sign = signed
	if m.chance(20) {
		r.sign = []signature{signedWrong, signedInQuery, unsigned}[m.IntN(3)]
	}
	if m.chance(10) {
		r.host = "s3.local.lakefs.io"
	}
	return r
}

// pathOf returns a key as clients of S3 write it in a path, and sometimes as others do.
func (m *mix) pathOf(key string) string {
	odd := m.chance(20)
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
		if odd {
			parts[i] = m.escaped(p)
		}
	}
	return strings.Join(parts, "/")
}

// oddPath returns a request whose path can be read in different ways.
func (m *mix) oddPath() request {
	path := m.one("", "/api/v1", "/api/v1/repositories/none", "/api/v1/repositories/{repo}/refs/main/objects", "/{repo}/main", "/api")
	for range m.IntN(5) {
		path += m.one("/a", "/%2F", "//", "/a%20b", "/%C3%A9", "/~x", "/a;b=c", "/.", "/..", "/%2e%2e", "/a+b", "/'()*", "/%25", "/%00", "/a%0d%0aX:%20y", "/{repo}", "/\\", "/a:b", "/@", "/é", "/%e9", "/|", "/a%")
	}
	path += m.one("", "", "/", "?", "?a=b", "?a=%2F&a=+", "?a;b", "?%zz", "?path=x%00y", "?é", "??", "?path=a/b#f", "?a=b&&=c&d")
	return m.bare(m.one("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"), path)
}

// bare returns a request with few headers.
func (m *mix) bare(method, target string) request {
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	r := request{method: method, target: target}
	if m.chance(70) {
		r.header = []string{basic}
	}
	if method == "POST" || method == "PUT" || method == "PATCH" {
		r.body = strings.Repeat("x", m.IntN(100))
	}
	return r
}

// bad returns a request that a server must refuse.
func (m *mix) bad() request {
	login := func(line string) func() request {
		return func() request {
			r := m.inRepo(m.one("GET", "POST"), m.one("", "/branches", "/refs/main/objects?path=a"))
			r.header[0] = line
			return r
		}
	}
	return m.oneOf(
		login("X-No: login"), login("Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(lakefstest.Admin.AccessKeyID+":wrong"))),
		login("Authorization: Basic ="), login("Authorization: Bearer x.y.z"), login("Authorization: AWS4-HMAC-SHA256 nothing"), login("Authorization: AWS x:y"),
		login("Cookie: internal_auth_session=x"), login("Authorization:"), login(basic+"\r\n"+basic+"x"),
		func() request {
			return m.json(m.inRepo("POST", m.one("/branches", "/tags", "/branches/main/commits", "/branches/main/objects/copy")), "%s", m.one("", "{", "null", "[]", `{"name":1}`, `{"name":"a b","source":"main"}`, "\xff", `{}`, "{}{}"))
		},
		func() request {
			r := m.inRepo("POST", m.one("/branches", "/branches/main/objects?path=a"))
			r.header, r.body = append(r.header, "Content-Type: "+m.one("text/html", "", "application/json; charset=x", ";;", "multipart/form-data")), "<x>"
			return r
		},
		func() request {
			return m.inRepo(m.one("PUT", "PATCH", "DELETE", "OPTIONS"), m.one("/branches", "/refs/main/objects/ls", "/tags", "/metadata"))
		},
		func() request {
			return m.inRepo("GET", "/refs/main/objects"+m.one("", "?", "?path=", "?path=%zz", "?path=a&path=b", "?PATH=a"))
		},
		func() request {
			return m.json(m.api("POST", "/repositories"), `{"name":%q,"storage_namespace":"nowhere"}`, m.one("", "A", "a b", "x"))
		},
		func() request { return m.api("DELETE", "/repositories/none") },
	)
}

// byHand returns a request that no client makes.
func (m *mix) byHand() request {
	const user = "/api/v1/user"
	text := m.one(
		"GET "+user+" HTTP/1.0\r\n"+basic+"\r\n\r\n",
		"GET "+user+" HTTP/1.0\r\nHost: {host}\r\n"+basic+"\r\nConnection: keep-alive\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: {host}\r\nA b: c\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: {host}\r\n: c\r\n\r\n",
		"GET "+user+" HTTP/2.5\r\nHost: {host}\r\n\r\n",
		"GET "+user+" FTP/1\r\n\r\n",
		"GET\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET  "+user+" HTTP/1.1\r\nHost: {host}\r\n\r\n",
		"get "+user+" HTTP/1.1\r\nHost: {host}\r\n"+basic+"\r\n\r\n",
		"G@T "+user+" HTTP/1.1\r\nHost: {host}\r\n\r\n",
		"GET "+user+"?a=\x01 HTTP/1.1\r\nHost: {host}\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: {host}\r\nAUTHORIZATION:"+strings.TrimPrefix(basic, "Authorization:")+"\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: {host}\r\n"+basic+"\r\nContent-Length: 3\r\n\r\nabc",
		"POST "+user+" HTTP/1.1\r\nHost: {host}\r\nContent-Length: x\r\n\r\n",
		"POST "+user+" HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"POST "+user+" HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: odd\r\n\r\n",
		"POST /api/v1/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: {host}\r\n"+basic+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET "+user+" HTTP/1.1\r\nHost: {host}\r\n"+basic+"\r\nX-Long: "+strings.Repeat("x", 30_000)+"\r\n\r\n",
		"GET "+user+"?"+strings.Repeat("x", 20_000)+" HTTP/1.1\r\nHost: {host}\r\n"+basic+"\r\n\r\n",
	)
	method, _, _ := strings.Cut(text, " ")
	return request{method: method, text: text}
}

// session returns a request of a browser that logs in, or has done so.
func (m *mix) session() request {
	keys := func(secret string) string {
		return fmt.Sprintf(`{"access_key_id":%q,"secret_access_key":%q}`, lakefstest.Admin.AccessKeyID, secret)
	}
	r := m.oneOf(
		func() request {
			return m.json(m.api("POST", "/auth/login"), "%s", m.one(keys(lakefstest.Admin.SecretAccessKey), keys("wrong"), keys(""), "{}", "x"))
		},
		func() request { return m.api("GET", "/user") },
		func() request { return m.inRepo("GET", "/branches") },
		func() request { return m.inRepo("GET", "/refs/main/objects/ls") },
		func() request { return m.upload() },
		func() request { return m.api("GET", "/../../logout") },
		func() request { return request{method: "GET", target: "/logout", header: []string{basic}} },
	)
	r.header[0] = "Cookie: internal_auth_session={session}"
	return r
}

func (m *mix) webUI() request {
	r := request{
		method: m.one("GET", "GET", "GET", "HEAD", "POST"),
		target: m.one("/", "/index.html", "/favicon.ico", "/robots.txt", "/repositories", "/repositories/{repo}/objects?ref=main", "/assets/", "/assets", "/auth/login?next=%2Fx", m.one(m.assets...), m.one(m.assets...)),
		header: []string{"Accept: text/html"},
	}
	if m.chance(50) {
		r.header = append(r.header, "Accept-Encoding: "+m.one("gzip", "gzip, deflate, br", "identity"))
	}
	return m.conditional(r)
}

// unknown returns a request for what is nowhere.
func (m *mix) unknown() request {
	target := m.one("/api/v2/user", "/api/v1/unknown", "/api/v1/repositories/{repo}/unknown", "/metricsish", "/_health", "/_ready", "/_rangefleetish", "/debug/pprof/cmdline",
		"/.well-known/x", "/swagger.json", "/openapi.json", "/api/v1/import", "/api/v1/repositories/{repo}/branches/main/import/x", "/"+strings.Repeat("x", m.IntN(500)))
	return m.bare(m.one("GET", "HEAD", "POST"), target)
}
