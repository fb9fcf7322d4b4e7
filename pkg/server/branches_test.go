package server

import "testing"

func TestBranches(t *testing.T) {
	const base = "/api/v1/repositories/lake/branches"
	const pages = `{"pagination":{"has_more":false,"max_per_page":1000,"next_offset":"","results":`
	for _, x := range []exchange{
		{"list", "GET", base, "", nil, 200, pages + `1},"results":[{"commit_id":"c2","id":"main"}]}`},
		{"list, not hidden", "GET", base + "?show_hidden=false", "", nil, 200, pages + `1},"results":[{"commit_id":"c2","id":"main"}]}`},
		{"list, hidden", "GET", base + "?show_hidden=true", "", nil, 200, pages + `2},"results":[{"commit_id":"c1","id":"hid"},{"commit_id":"c2","id":"main"}]}`},
		{"list, malformed", "GET", base + "?show_hidden=x", "", nil, 400, `{"message":"parameter \"show_hidden\" in query has an error: error binding string parameter: strconv.ParseBool: parsing \"x\": invalid syntax"}`},
		{"create", "POST", base, `{"name":"dev","source":"main","force":true,"hidden":false}`, nil, 201, "c2"},
		{"create hidden", "POST", base, `{"name":"dev","source":"main","hidden":true}`, nil, 201, "c1"},
		{"create, malformed", "POST", base, `{"name":"dev","source":"main","hidden":"yes"}`, nil, 400, `{"message":"request body has an error: hidden: must be true or false"}`},
		{"delete", "DELETE", base + "/hid", "", nil, 204, ""},
		{"delete, as lakectl asks", "DELETE", base + "/hid?force=false", "", nil, 204, ""},
		{"delete the default branch", "DELETE", base + "/main", "", nil, 403, `{"message":"cannot delete repository default branch"}`},
		{"delete, none", "DELETE", base + "/dev", "", nil, 404, `{"message":"branch not found"}`},
		{"reset", "PUT", base + "/main", `{"type":"reset"}`, nil, 204, ""},
		{"reset a prefix", "PUT", base + "/main", `{"type":"common_prefix","path":""}`, nil, 204, ""},
		{"reset an object", "PUT", base + "/main", `{"type":"object","path":"a","force":true}`, nil, 204, ""},
		{"reset an object without a path", "PUT", base + "/main", `{"type":"object"}`, nil, 400, `{"message":"request body has an error: path: value is required but missing"}`},
		{"reset, unknown type", "PUT", base + "/main", `{"type":"all"}`, nil, 400, `{"message":"request body has an error: type: unknown value \"all\""}`},
		{"reset, no branch", "PUT", base + "/dev", `{"type":"reset"}`, nil, 404, `{"message":"branch not found"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
}
