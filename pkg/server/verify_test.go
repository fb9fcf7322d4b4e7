package server

import "testing"

func TestVerifyMetaRange(t *testing.T) {
	const base = "/api/v1/repositories/lake/metaranges/m2/verification"
	one := func(key, count, fault string) string {
		return `{"count":` + count + `,"estimated_size":9,` + fault + `"id":"r` + key + `","max_key":"` + key + `","min_key":"` + key + `"}`
	}
	a, b, c := one("a", "1", ""), one("b", "2", `"fault":"read range rb: not found",`), one("c", "3", "")
	list := func(more, next, n, results string) string {
		return `{"pagination":{"has_more":` + more + `,"max_per_page":1000,"next_offset":"` + next + `","results":` + n + `},"results":[` + results + `]}`
	}
	for _, x := range []exchange{
		{"all", "GET", base, "", nil, 200, list("false", "", "3", a+","+b+","+c)},
		{"page 1", "GET", base + "?amount=2", "", nil, 200, list("true", "b", "2", a+","+b)},
		{"page 2", "GET", base + "?amount=2&after=b", "", nil, 200, list("false", "", "1", c)},
		{"no tree", "GET", "/api/v1/repositories/lake/metaranges/m1/verification", "", nil, 404, `{"message":"metarange not found"}`},
		{"no repository", "GET", "/api/v1/repositories/pond/metaranges/m2/verification", "", nil, 404, `{"message":"repository not found"}`},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, newFixture(t)) })
	}
	if w := newFixture(t).do("GET", base+"?after=c", "", nil); w.Code != 500 {
		t.Errorf("a damaged metarange: %d %s, want 500", w.Code, w.Body)
	}
}

func TestAPageOfVerifiedRangesEndsInTime(t *testing.T) {
	ranges, err := fakeInspector{}.Verify(t.Context(), "lake", "m2", "")
	if err != nil {
		t.Fatal(err)
	}
	page, err := verifiedPage(ranges, 9, func() bool { return true })
	if err != nil || len(page.Results) != 1 || page.Pagination.NextOffset != "a" || !page.Pagination.HasMore {
		t.Errorf("%+v, %v, want one range, and more", page, err)
	}
}
