package server

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/api"
)

func TestDumps(t *testing.T) {
	const base = "/api/v1/repositories/lake"
	const refs = `{"branches_meta_range_id":"b1","commits_meta_range_id":"c1","tags_meta_range_id":"t1"}`
	f := newFixture(t)
	var task api.TaskInfo
	if w := f.do("POST", base+"/dump", "", nil); w.Code != 202 || json.Unmarshal(w.Body.Bytes(), &task) != nil || task.ID == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, x := range []exchange{
		{"at once", "PUT", base + "/refs/dump", "", nil, 201, refs},
		{
			"status", "GET", base + "/dump?task_id=" + task.ID, "", nil, 200,
			`{"done":true,"id":"` + task.ID + `","refs":` + refs + `,"update_time":"2026-03-04T05:06:07Z"}`,
		},
		{"status of nothing", "GET", base + "/dump", "", nil, 400, `{"message":"parameter \"task_id\" in query has an error: value is required but missing"}`},
		{"status of none", "GET", base + "/dump?task_id=x", "", nil, 404, `{"message":"dump not found"}`},
		{"status in another repository", "GET", "/api/v1/repositories/pond/dump?task_id=" + task.ID, "", nil, 404, `{"message":"repository not found"}`},
		{"no repository", "POST", "/api/v1/repositories/pond/dump", "", nil, 404, `{"message":"repository not found"}`},
		{"no repository, at once", "PUT", "/api/v1/repositories/pond/refs/dump", "", nil, 404, `{"message":"repository not found"}`},
	} {
		x.run(t, f)
	}
	f = newFixture(t, func(c *Config) { c.Dumper = fakeDumper{errors.New("store a metarange: AccessDenied")} })
	exchange{"the store refuses", "POST", base + "/dump", "", nil, 503, `{"message":"store a metarange: AccessDenied, try again (request fresh-id)"}`}.run(t, f)
}
