package mix

import (
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

var basic = "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(lakefstest.Admin.AccessKeyID+":"+lakefstest.Admin.SecretAccessKey))

// inRepo returns a request of the API whose path starts in the repository.
func inRepo(d *dice, method, path string) Request { return api(d, method, "/repositories/{repo}"+path) }

// api returns a request of the API, with headers that clients and proxies send.
func api(d *dice, method, path string) Request {
	r := Request{method: method, target: "/api/v1" + path, header: []string{basic}}
	for _, line := range []string{
		"Accept-Encoding: gzip", "Accept: application/json, */*;q=0.5", "Origin: http://elsewhere.example", "X-Forwarded-For: 192.0.2.7",
		"Forwarded: for=192.0.2.7;proto=https", "X-Forwarded-Proto: https", "Cookie: a=b; c=\"d e\"", "TE: trailers", "Cache-Control: no-cache",
		"X-Odd: \xc3\xa9\xff", "User-Agent: lakectl/1.0", "Connection: X-Hop\r\nX-Hop: 1",
	} {
		if d.chance(6) {
			r.header = append(r.header, line)
		}
	}
	return r
}

func withJSON(r Request, format string, args ...any) Request {
	r.header, r.body = append(r.header, "Content-Type: application/json"), fmt.Sprintf(format, args...)
	return r
}

func read(d *dice) Request {
	return d.oneOf(
		func() Request { return inRepo(d, d.one("GET", "HEAD", "GET"), "") },
		func() Request { return inRepo(d, "GET", "/branches"+d.page()) },
		func() Request { return inRepo(d, "GET", "/branches/"+d.ref()) },
		func() Request { return inRepo(d, "GET", "/tags"+d.page()) },
		func() Request { return inRepo(d, "GET", "/tags/"+d.ref()) },
		func() Request { return inRepo(d, "GET", "/commits/"+d.ref()) },
		func() Request { return inRepo(d, "GET", "/refs/"+d.ref()+"/commits"+d.page()) },
		func() Request { return inRepo(d, "GET", "/refs/"+d.ref()+"/diff/"+d.ref()+d.page()) },
		func() Request { return inRepo(d, "GET", "/branches/"+d.branch()+"/diff"+d.page()) },
		func() Request {
			return inRepo(d, "GET", "/branches/"+d.branch()+"/import?id="+d.one("none", "%20x")+"&x=1")
		},
		func() Request {
			return inRepo(d, "GET", d.one("/metadata", "/settings/branch_protection", "/settings/gc_rules", "/actions/runs", "/pulls", "/refs/main/symlink"))
		},
		func() Request { return api(d, "GET", "/repositories?prefix={repo}&amount=1") },
		func() Request {
			return api(d, d.one("GET", "HEAD"), d.one("/user", "/config", "/config/version", "/config/storage", "/setup_lakefs", "/healthcheck", "/auth/capabilities", "/auth/users", "/auth/users/admin"))
		},
	)
}

func content(d *dice) Request {
	path := d.one("/objects", "/objects", "/objects/stat", "/objects/underlyingProperties")
	r := inRepo(d, d.one("GET", "GET", "HEAD"), "/refs/"+d.ref()+path+"?path="+d.escaped(d.key())+d.one("", "", "&user_metadata=true"))
	return conditional(d, r)
}

// conditional adds headers that ask for a part of the content, or for content that has changed.
func conditional(d *dice, r Request) Request {
	if d.chance(50) {
		r.header = append(r.header, "Range: bytes="+d.one("0-0", "0-9", "1-", "-1", "-5", "5-2", "999999-", "0-999999999", "a-b", "0-1,3-4", ""))
	}
	if d.chance(20) {
		r.header = append(r.header, d.one(`If-None-Match: "x"`, "If-None-Match: *", "If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT", "If-Range: \"x\"", `If-Match: "x"`))
	}
	return r
}

func listing(d *dice) Request {
	query := url.Values{}
	for _, parameter := range []struct{ name, value string }{
		{"prefix", d.one("a", "a/", "data/", "日", "zz", d.key())},
		{"delimiter", d.one("/", "x", "")},
		{"after", d.key()},
		{"amount", d.one("0", "1", "3", "1000", "-5")},
		{"user_metadata", d.one("true", "false", "maybe")},
		{"unknown", "1"},
	} {
		if d.chance(40) {
			query.Set(parameter.name, parameter.value)
		}
	}
	return inRepo(d, "GET", "/refs/"+d.ref()+"/objects/ls?"+query.Encode())
}

func upload(d *dice) Request {
	r := inRepo(d, "POST", "/branches/"+d.branch()+"/objects?path="+d.escaped(d.key())+d.one("", "", "&force=true"))
	r.body, r.chunked = d.text(), d.chance(30)
	if d.chance(30) {
		const boundary = "x-of-the-tests"
		r.header = append(r.header, "Content-Type: multipart/form-data; boundary="+boundary)
		r.body = "--" + boundary + "\r\nContent-Disposition: form-data; name=\"content\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n" + r.body + "\r\n--" + boundary + "--\r\n"
		return r
	}
	r.header = append(r.header, "Content-Type: "+d.one("application/octet-stream", "text/plain", "application/x-odd; a=\"b\""))
	for _, line := range []string{"Expect: 100-continue", "X-Lakefs-Meta-One: 1", "If-None-Match: *"} {
		if d.chance(10) {
			r.header = append(r.header, line)
		}
	}
	return r
}

func change(d *dice) Request {
	branch := d.branch()
	return d.oneOf(
		func() Request { return inRepo(d, "DELETE", "/branches/"+branch+"/objects?path="+d.escaped(d.key())) },
		func() Request {
			return withJSON(inRepo(d, "POST", "/branches/"+branch+"/objects/delete"), `{"paths":[%q,%q]}`, d.key(), d.key())
		},
		func() Request {
			return withJSON(inRepo(d, "POST", "/branches/"+branch+"/objects/copy?dest_path="+d.escaped(d.key())), `{"src_path":%q,"src_ref":"main"}`, d.key())
		},
		func() Request {
			return withJSON(inRepo(d, "POST", "/branches"), `{"name":%q,"source":%q}`, d.one("dev", "side"), d.one("main", "none", "dev"))
		},
		func() Request { return inRepo(d, "DELETE", "/branches/"+d.one("side", "none")) },
		func() Request {
			return withJSON(inRepo(d, "POST", "/tags"), `{"id":%q,"ref":%q}`, d.one("tag1", "tag2", "no tag"), branch)
		},
		func() Request { return inRepo(d, "DELETE", "/tags/"+d.one("tag1", "tag2", "none")) },
		func() Request {
			return withJSON(inRepo(d, "POST", "/branches/"+branch+"/commits"), `{"message":"m%d","metadata":{"k":"é"},"allow_empty":%v}`, d.rng.IntN(9), d.chance(30))
		},
		func() Request {
			return withJSON(inRepo(d, "PUT", "/branches/"+d.one("dev", "side")), `{"type":%q,"path":"a/"}`, d.one("reset", "common_prefix", "object", "odd"))
		},
		func() Request {
			return withJSON(inRepo(d, "POST", "/refs/"+branch+"/merge/"+d.branch()), `{"message":"merged","strategy":%q}`, d.one("", "source-wins", "dest-wins", "none"))
		},
		func() Request {
			return withJSON(inRepo(d, "POST", "/branches/"+branch+"/revert"), `{"ref":"main","parent_number":%d}`, d.rng.IntN(3))
		},
		func() Request {
			return withJSON(inRepo(d, "POST", "/metadata"), `{"metadata":{"k%d":"v"}}`, d.rng.IntN(3))
		},
		func() Request {
			return withJSON(inRepo(d, "PUT", "/settings/branch_protection"), `[{"pattern":%q}]`, d.one("stable*", "x"))
		},
		func() Request {
			return withJSON(api(d, "POST", "/statistics"), `{"events":[{"class":"c","name":"n","count":1}]}`)
		},
	)
}
