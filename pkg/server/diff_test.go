package server

import (
	"errors"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

func TestDiff(t *testing.T) {
	const base = "/api/v1/repositories/lake/"
	const diff = base + "refs/main/diff/"
	object := func(change, path string) string {
		return `{"path":"` + path + `","path_type":"object","size_bytes":7,"type":"` + change + `"}`
	}
	const dir = `{"path":"c/","path_type":"common_prefix","type":"prefix_changed"}`
	const stats = `{"path":"a","path_type":"object","right":{"checksum":"e","content_type":"application/octet-stream","metadata":{},"mtime":1772600767},"size_bytes":7,"type":"added"}`
	list := func(next, n, results string) string {
		more := "false"
		if next != "" {
			more = "true"
		}
		return `{"pagination":{"has_more":` + more + `,"max_per_page":1000,"next_offset":"` + next + `","results":` + n + `},"results":[` + results + `]}`
	}
	for _, x := range []exchange{
		{"all", "GET", diff + "x", "", nil, 200, list("", "4", object("added", "a")+","+object("added", "c/x")+","+object("added", "c/y")+","+object("removed", "d"))},
		{"directories", "GET", diff + "x?delimiter=/", "", nil, 200, list("", "3", object("added", "a")+","+dir+","+object("removed", "d"))},
		{"page", "GET", diff + "x?delimiter=/&amount=2", "", nil, 200, list("c/", "2", object("added", "a")+","+dir)},
		{"next page", "GET", diff + "x?delimiter=/&amount=2&after=c/", "", nil, 200, list("", "1", object("removed", "d"))},
		{"prefix", "GET", diff + "x?prefix=c/y", "", nil, 200, list("", "1", object("added", "c/y"))},
		{"right stats", "GET", diff + "x?prefix=a&include_right_stats=true", "", nil, 200, list("", "1", stats)},
		{"no right stats of what is gone", "GET", diff + "x?prefix=d&include_right_stats=true", "", nil, 200, list("", "1", object("removed", "d"))},
		{"three dots", "GET", diff + "three?type=three_dot&prefix=d", "", nil, 200, list("", "1", object("removed", "d"))},
		{"three dots by default", "GET", diff + "two?prefix=d", "", nil, 404, `{"message":"ref not found"}`},
		{"two dots", "GET", diff + "two?type=two_dot&prefix=d", "", nil, 200, list("", "1", object("removed", "d"))},
		{"another type", "GET", diff + "x?type=dots", "", nil, 400, `{"message":"parameter \"type\" in query has an error: want two_dot or three_dot"}`},
		{"no ref", "GET", base + "refs/none/diff/main", "", nil, 404, `{"message":"branch not found"}`},
		{"branch", "GET", base + "branches/main/diff?prefix=a&delimiter=/&after=x&amount=1000", "", nil, 200, list("", "0", "")},
		{"branch, none", "GET", base + "branches/none/diff", "", nil, 404, `{"message":"branch not found"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			f.service.left, f.service.tree = treeOf(t, "b", "d"), treeOf(t, "a", "b", "c/x", "c/y")
			x.run(t, f)
		})
	}
	f := newFixture(t)
	f.service.err = errors.New("read metarange m2: AccessDenied")
	exchange{"", "GET", diff + "x", "", nil, 503, `{"message":"read metarange m2: AccessDenied, try again (request fresh-id)"}`}.run(t, f)
}

func TestEveryChangeHasAType(t *testing.T) {
	for change, want := range map[metarange.Change]api.DiffType{
		metarange.KeyAdded: "added", metarange.KeyRemoved: "removed", metarange.KeyChanged: "changed", metarange.KeyConflict: "conflict",
	} {
		for _, gone := range []bool{false, true} {
			d := diffOf(metarange.Difference{Item: metarange.Item{Entry: entry.Entry{Key: "k"}}, Change: change, Gone: gone}, true)
			if d.Type != want || (d.Right == api.DiffObjectStat{}) != gone || *d.SizeBytes != 0 {
				t.Errorf("change %d, gone %t: %+v", change, gone, d)
			}
		}
	}
}
