package server

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

func TestTrySource(t *testing.T) {
	f := newFixture(t)
	tried := coordinator.Tried{
		Source: objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "b", Key: "p/"}, Store: "http://minio", Encodes: true, Seed: 1<<32 - 1,
		Listing: objectstore.Listing{Mode: objectstore.Walk, Why: "nobody knows it"},
		Report: trial.Report{
			Walk:  trial.Walk{Keys: []string{"p/1", "p/2"}, Pages: 1, Complete: true, Repeated: 3},
			Tried: 9, Changed: 1, Lists: 12, CutShort: "late",
		},
	}
	const head = `{"cut_short":"late","encodes":true,"known":false,"listing":{"mode":"walk","why":"nobody knows it"},"lists":12,` +
		`"seed":4294967295,"source":"s3://b/p/","starts":{"changed":1,`
	const tail = `"tried":9},"store":"http://minio","walk":{"complete":true,"keys":2,"pages":1,"repeated":3}}`
	for name, c := range map[string]struct {
		fault *trial.Fault
		want  string
	}{
		"no fault": {nil, head + tail},
		"a fault": {
			&trial.Fault{Start: trial.Start{After: "p/<", What: "a key", Keys: 2}, Contradiction: trial.Contradiction{Want: "p/2", Got: "p/3"}},
			head + `"fault":{"after":"p/<","got":"p/3","page_keys":2,"want":"p/2","what":"a key"},` + tail,
		},
		"a fault in words": {
			&trial.Fault{Start: trial.Start{After: "", What: "the prefix"}, Words: "no order"},
			head + `"fault":{"after":"","message":"no order","what":"the prefix"},` + tail,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.service.tried = tried
			f.service.tried.Report.Fault = c.fault
			w := f.do("POST", "/api/v1/sources/trials", `{"source":"s3://b/p/","seed":7}`, nil)
			if w.Code != 200 || w.Body.String() != c.want+"\n" {
				t.Errorf("%d %s, want %s", w.Code, w.Body, c.want)
			}
			if f.service.trySource != "s3://b/p/" || f.service.trySeed != 7 {
				t.Errorf("asked to try %q, seed %d", f.service.trySource, f.service.trySeed)
			}
		})
	}
}

func TestTrySourceRefused(t *testing.T) {
	f := newFixture(t)
	for body, want := range map[string]struct {
		code    int
		message string
	}{
		`{"source":"s3://busy/"}`:        {429, "2 trials are under way"},
		`{}`:                             {400, "request body has an error: source: value is required but missing"},
		`{"source":"s3://b/","seed":-1}`: {400, "request body has an error: seed: -1 is negative"},
		`{"source":"s3://b/","seed":.5}`: {400, "malformed JSON"},
	} {
		w := f.do("POST", "/api/v1/sources/trials", body, nil)
		if w.Code != want.code || !strings.Contains(w.Body.String(), want.message) || (w.Code == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: %d %s, want %d %s", body, w.Code, w.Body, want.code, want.message)
		}
	}
}
