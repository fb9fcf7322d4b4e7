package server

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/coordinator/edit"
)

func TestMerge(t *testing.T) {
	const path = "/api/v1/repositories/lake/refs/dev/merge/main"
	asked := edit.Merge{Repository: "lake", Source: "dev", Destination: "main", Committer: "admin"}
	all := asked
	all.Message, all.Metadata, all.Strategy, all.Squash, all.AllowEmpty = "m", map[string]string{"k": "v"}, "source-wins", true, true
	forced := asked
	forced.AllowEmpty = true
	diverged := asked
	diverged.Source = "diverged"
	for _, x := range []struct {
		exchange
		want edit.Merge
	}{
		{exchange{"no body", "POST", path, "", nil, 200, `{"reference":"c2"}`}, asked},
		{exchange{"defaults", "POST", path, `{}`, nil, 200, `{"reference":"c2"}`}, asked},
		{exchange{"everything", "POST", path, `{"message":"m","metadata":{"k":"v"},"strategy":"source-wins","squash_merge":true,"allow_empty":true}`, nil, 200, `{"reference":"c2"}`}, all},
		{exchange{"forced", "POST", path, `{"force":true}`, nil, 200, `{"reference":"c2"}`}, forced},
		{exchange{"diverged", "POST", strings.Replace(path, "dev", "diverged", 1), "", nil, 409, `{"message":"conflict found","reference":""}`}, diverged},
		{exchange{"no body of this kind", "POST", path, `{"squash_merge":1}`, nil, 400, `{"message":"request body has an error: squash_merge: must be true or false"}`}, edit.Merge{}},
		{exchange{"base", "GET", strings.Replace(path, "dev", "main", 1), "", nil, 200, `{"base_commit_id":"c1","destination_commit_id":"c2","source_commit_id":"s"}`}, edit.Merge{}},
		{exchange{"no base", "GET", path, "", nil, 404, `{"message":"branch not found"}`}, edit.Merge{}},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			x.run(t, f)
			if !reflect.DeepEqual(f.service.merged, x.want) {
				t.Errorf("merged %+v, want %+v", f.service.merged, x.want)
			}
		})
	}
}
