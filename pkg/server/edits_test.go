package server

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/coordinator/edit"
)

const commitsPath = "/api/v1/repositories/lake/branches/main/commits"

func TestCommit(t *testing.T) {
	f := newFixture(t)
	tree := strings.Repeat("ab", 32)
	const made = `{"committer":"admin","creation_date":1772600767,"generation":2,"id":"c2","message":"Import objects","meta_range_id":"m2","metadata":{".lakefs.merge.strategy":"source-wins"},"parents":["c1"],"version":1}`
	for _, x := range []struct {
		exchange
		want edit.Commit
	}{
		{exchange{"a tree", "POST", commitsPath + "?source_metarange=" + tree, `{"message":"m"}`, nil, 201, made}, edit.Commit{Tree: tree, Message: "m"}},
		{
			exchange{"everything", "POST", commitsPath + "?source_metarange=" + tree, `{"message":"","metadata":{"k":"v"},"date":7,"allow_empty":true,"force":true}`, nil, 201, made},
			edit.Commit{Tree: tree, AllowEmpty: true, Metadata: map[string]string{"k": "v"}, Created: time.Unix(7, 0).UTC()},
		},
		{exchange{"empty", "POST", commitsPath, `{"message":"m","allow_empty":true,"date":null}`, nil, 201, made}, edit.Commit{AllowEmpty: true, Message: "m"}},
		{
			exchange{"at the epoch", "POST", commitsPath, `{"message":"m","allow_empty":true,"date":0}`, nil, 201, made},
			edit.Commit{AllowEmpty: true, Message: "m", Created: time.Unix(0, 0).UTC()},
		},
		{exchange{"no changes", "POST", commitsPath, `{"message":"m"}`, nil, 400, `{"message":"no changes"}`}, edit.Commit{Message: "m"}},
		{exchange{"no tree", "POST", commitsPath + "?source_metarange=", `{"message":"m"}`, nil, 400, `{"message":"parameter \"source_metarange\" in query has an error: value is required but missing"}`}, edit.Commit{}},
		{exchange{"no message", "POST", commitsPath, `{}`, nil, 400, `{"message":"request body has an error: message: value is required but missing"}`}, edit.Commit{}},
		{exchange{"before 1970", "POST", commitsPath, `{"message":"m","date":-1}`, nil, 400, `{"message":"request body has an error: date: -1: want seconds since 1970, and a year before 10000"}`}, edit.Commit{}},
		{exchange{"too late", "POST", commitsPath, `{"message":"m","date":253402300800}`, nil, 400, `{"message":"request body has an error: date: 253402300800: want seconds since 1970, and a year before 10000"}`}, edit.Commit{}},
		{exchange{"no branch", "POST", strings.Replace(commitsPath, "main", "dev", 1), `{"message":"m"}`, nil, 404, `{"message":"branch not found"}`}, edit.Commit{Branch: "dev", Message: "m"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			f.service.committed = edit.Commit{}
			x.run(t, f)
			if x.want.Message != "" || x.want.Tree != "" {
				x.want.Repository, x.want.Committer = "lake", "admin"
				if x.want.Branch == "" {
					x.want.Branch = "main"
				}
			}
			if !reflect.DeepEqual(f.service.committed, x.want) {
				t.Errorf("committed %+v, want %+v", f.service.committed, x.want)
			}
		})
	}
}
