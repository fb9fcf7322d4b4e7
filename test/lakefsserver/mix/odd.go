package mix

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// s3 returns a request to the S3 gateway.
func s3(d *dice) Request {
	object := "/{repo}/" + d.branch() + "/" + d.pathOf(d.key())
	r := d.oneOf(
		func() Request { return conditional(d, Request{method: d.one("GET", "GET", "HEAD"), target: object}) },
		func() Request {
			return Request{method: "PUT", target: object, body: d.text(), header: []string{"Content-Type: text/plain", "X-Amz-Meta-One: 1"}}
		},
		func() Request { return Request{method: "DELETE", target: object} },
		func() Request {
			return Request{method: "PUT", target: object, header: []string{"X-Amz-Copy-Source: {repo}/main/" + d.escaped(d.key())}}
		},
		func() Request {
			return Request{method: d.one("GET", "HEAD"), target: d.one("/{repo}", "/{repo}/", "/none", "/{repo}?location", "/{repo}?versioning", "/{repo}?uploads")}
		},
		func() Request {
			return Request{method: "GET", target: "/{repo}?list-type=2&prefix=" + d.one("", "main/", "main/a", "none/", d.branch()+"/"+d.escaped(d.key())) + d.one("", "&delimiter=%2F") + d.one("", "&max-keys=2", "&max-keys=x")}
		},
		func() Request {
			return Request{method: "GET", target: "/{repo}?prefix=main%2F&delimiter=%2F&marker=main%2Fa"}
		},
		func() Request {
			return Request{method: "POST", target: "/{repo}?delete", body: "<Delete><Object><Key>main/a/b</Key></Object></Delete>"}
		},
		func() Request {
			return Request{method: d.one("POST", "PUT", "DELETE"), target: object + d.one("?uploads", "?uploadId=none", "?partNumber=1&uploadId=none", "?tagging", "?acl")}
		},
		func() Request { return Request{method: "PUT", target: "/no-such-bucket"} },
	)
	r.sign = signed
	if d.chance(20) {
		r.sign = []signature{signedWrong, signedInQuery, unsigned}[d.rng.IntN(3)]
	}
	if d.chance(10) {
		r.host = "s3.local.lakefs.io"
	}
	return r
}

// oddPath returns a request whose path can be read in different ways.
func oddPath(d *dice) Request {
	path := d.one("", "/api/v1", "/api/v1/repositories/none", "/api/v1/repositories/{repo}/refs/main/objects", "/{repo}/main", "/api")
	parts := []string{"/a", "//", "/~x", "/a;b=c", "/.", "/..", "/a+b", "/'()*", "/{repo}", "/a:b", "/@"}
	if d.chance(50) {
		parts = append(parts, "/%2F", "/a%20b", "/%C3%A9", "/%2e%2e", "/%25", "/%00", "/a%0d%0aX:%20y", "/%e9", "/a%")
	} else { // which must be escaped: beside these, lakeFS takes a %2F for a slash
		parts = append(parts, "/\\", "/é", "/|", "/a^b", "/<>", "/`", "/\"")
	}
	for range d.rng.IntN(5) {
		path += d.one(parts...)
	}
	path += d.one("", "", "/", "?", "?a=b", "?a=%2F&a=+", "?a;b", "?%zz", "?path=x%00y", "?é", "??", "?path=a/b#f", "?a=b&&=c&d")
	return bare(d, d.one("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"), path)
}

// bare returns a request with few headers.
func bare(d *dice, method, target string) Request {
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	r := Request{method: method, target: target}
	if d.chance(70) {
		r.header = []string{basic}
	}
	if method == "POST" || method == "PUT" || method == "PATCH" {
		r.body = strings.Repeat("x", d.rng.IntN(100))
	}
	return r
}

// bad returns a request that a server must refuse.
func bad(d *dice) Request {
	login := func(line string) func() Request {
		return func() Request {
			r := inRepo(d, d.one("GET", "POST"), d.one("", "/branches", "/refs/main/objects?path=a"))
			r.header[0] = line
			return r
		}
	}
	return d.oneOf(
		login("X-No: login"), login("Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(lakefstest.Admin.AccessKeyID+":wrong"))),
		login("Authorization: Basic ="), login("Authorization: Bearer x.y.z"), login("Authorization: AWS4-HMAC-SHA256 nothing"), login("Authorization: AWS x:y"),
		login("Cookie: internal_auth_session=x"), login("Authorization:"), login(basic+"\r\n"+basic+"x"),
		func() Request {
			return withJSON(inRepo(d, "POST", d.one("/branches", "/tags", "/branches/main/commits", "/branches/main/objects/copy")), "%s", d.one("", "{", "null", "[]", `{"name":1}`, `{"name":"a b","source":"main"}`, "\xff", `{}`, "{}{}"))
		},
		func() Request {
			r := inRepo(d, "POST", d.one("/branches", "/branches/main/objects?path=a"))
			r.header, r.body = append(r.header, "Content-Type: "+d.one("text/html", "", "application/json; charset=x", ";;", "multipart/form-data")), "<x>"
			return r
		},
		func() Request {
			return inRepo(d, d.one("PUT", "PATCH", "DELETE", "OPTIONS"), d.one("/branches", "/refs/main/objects/ls", "/tags", "/metadata"))
		},
		func() Request {
			return inRepo(d, "GET", "/refs/main/objects"+d.one("", "?", "?path=", "?path=%zz", "?path=a&path=b", "?PATH=a"))
		},
		func() Request {
			return withJSON(api(d, "POST", "/repositories"), `{"name":%q,"storage_namespace":"nowhere"}`, d.one("", "A", "a b", "x"))
		},
		func() Request { return api(d, "DELETE", "/repositories/none") },
	)
}

// byHand returns a request that no client makes.
func byHand(d *dice) Request {
	const user = "/api/v1/user"
	text := d.one(
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
	return Request{method: method, text: text}
}

// session returns a request of a browser that logs in, or has done so.
func session(d *dice) Request {
	keys := func(secret string) string {
		return fmt.Sprintf(`{"access_key_id":%q,"secret_access_key":%q}`, lakefstest.Admin.AccessKeyID, secret)
	}
	r := d.oneOf(
		func() Request {
			return withJSON(api(d, "POST", "/auth/login"), "%s", d.one(keys(lakefstest.Admin.SecretAccessKey), keys("wrong"), keys(""), "{}", "x"))
		},
		func() Request { return api(d, "GET", "/user") },
		func() Request { return inRepo(d, "GET", "/branches") },
		func() Request { return inRepo(d, "GET", "/refs/main/objects/ls") },
		func() Request { return upload(d) },
		func() Request { return api(d, "GET", "/../../logout") },
		func() Request { return Request{method: "GET", target: "/logout", header: []string{basic}} },
	)
	r.header[0] = "Cookie: internal_auth_session={session}"
	return r
}

func webUI(d *dice, assets []string) Request {
	r := Request{
		method: d.one("GET", "GET", "GET", "HEAD", "POST"),
		target: d.one("/", "/index.html", "/favicon.ico", "/robots.txt", "/repositories", "/repositories/{repo}/objects?ref=main", "/assets/", "/assets", "/auth/login?next=%2Fx", d.one(assets...), d.one(assets...)),
		header: []string{"Accept: text/html"},
	}
	if d.chance(50) {
		r.header = append(r.header, "Accept-Encoding: "+d.one("gzip", "gzip, deflate, br", "identity"))
	}
	return conditional(d, r)
}

// unknown returns a request for what is nowhere.
func unknown(d *dice) Request {
	target := d.one("/api/v2/user", "/api/v1/unknown", "/api/v1/repositories/{repo}/unknown", "/metricsish", "/_health", "/_ready", "/_rangefleetish", "/debug/pprof/cmdline",
		"/.well-known/x", "/swagger.json", "/openapi.json", "/api/v1/import", "/api/v1/repositories/{repo}/branches/main/import/x", "/"+strings.Repeat("x", d.rng.IntN(500)))
	return bare(d, d.one("GET", "HEAD", "POST"), target)
}
