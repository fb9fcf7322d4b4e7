package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

func TestIngestRange(t *testing.T) {
	const path = "/api/v1/repositories/lake/branches/ranges"
	const done = `{"pagination":{"continuation_token":"","has_more":false,"last_key":""}}`
	want := coordinator.Ingest{FromSourceURI: "s3://b/p/", After: "p/a", Prepend: "c/"}
	for _, x := range []exchange{
		{"by the client's name", "POST", path, `{"fromSourceURI":"s3://b/p/","after":"p/a","prepend":"c/","continuation_token":"","staging_token":""}`, nil, 201, done},
		{"by the document's name", "POST", path, `{"from_source_uri":"s3://b/p/","after":"p/a","prepend":"c/"}`, nil, 201, done},
		{"no source", "POST", path, `{"after":"","prepend":""}`, nil, 400, `{"message":"request body has an error: fromSourceURI: value is required but missing"}`},
		{"no after", "POST", path, `{"fromSourceURI":"s3://b/","prepend":""}`, nil, 400, `{"message":"request body has an error: after: value is required but missing"}`},
		{"no credentials", "POST", path, `{"fromSourceURI":"s3://b/","after":"","prepend":""}`, http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			x.run(t, f)
			if x.code == 201 && f.service.ingest != want {
				t.Errorf("asked %+v, want %+v", f.service.ingest, want)
			}
		})
	}
	t.Run("a range", func(t *testing.T) {
		f := newFixture(t)
		f.service.ingested = coordinator.Ingested{
			Range:   &partition.RangeMetadata{ID: "r", MinKey: "c/a<b>&\u2028", MaxKey: "c/z", Count: 2, EstimatedSize: 1<<64 - 1},
			LastKey: "p/z",
		}
		exchange{
			"", "POST", path, `{"fromSourceURI":"s3://b/p/","after":"","prepend":"c/"}`, nil, 201,
			`{"pagination":{"continuation_token":"","has_more":false,"last_key":"p/z"},"range":{"count":2,"estimated_size":18446744073709551615,"id":"r","max_key":"c/z","min_key":"c/a<b>&\u2028"}}`,
		}.run(t, f)
	})
}

// A token continues where its answer ended, and is only good for the same request.
func TestContinuationTokens(t *testing.T) {
	const path = "/api/v1/repositories/lake/branches/ranges"
	body := func(uri, prepend, token string) string {
		return `{"fromSourceURI":"` + uri + `","after":"p/a","prepend":"` + prepend + `","continuation_token":"` + token + `"}`
	}
	f := newFixture(t)
	f.service.ingested = coordinator.Ingested{HasMore: true, LastKey: "p/z"}
	var first api.IngestRangeCreationResponse
	if err := json.Unmarshal(f.do("POST", path, body("s3://b/p/", "c/", ""), nil).Body.Bytes(), &first); err != nil {
		t.Fatal(err)
	}
	token := first.Pagination.ContinuationToken
	if token == "" || strings.Contains(token, "p/z") {
		t.Fatalf("token %q", token)
	}
	w := f.do("POST", path, body("s3://b/p/", "c/", token), nil)
	if w.Code != 201 || f.service.ingest.After != "p/z" {
		t.Errorf("with the token: %d %s, asked %+v", w.Code, w.Body, f.service.ingest)
	}
	f.service.ingest = coordinator.Ingest{}
	const refused = `{"message":"invalid continuation token"}`
	staging := strings.Replace(body("s3://b/p/", "c/", ""), "}", `,"staging_token":"`+token+`"}`, 1)
	for _, x := range []exchange{
		{"another source", "POST", path, body("s3://b/p/x/", "c/", token), nil, 400, refused},
		{"another prepend", "POST", path, body("s3://b/p/", "", token), nil, 400, refused},
		{"another repository", "POST", strings.Replace(path, "lake", "pond", 1), body("s3://b/p/", "c/", token), nil, 400, refused},
		{"a key", "POST", path, body("s3://b/p/", "c/", "p/z"), nil, 400, refused},
		{"a staging token", "POST", path, staging, nil, 400, refused},
		{"edited", "POST", path, body("s3://b/p/", "c/", "A"+token[1:]+"A"), nil, 400, refused},
	} {
		t.Run(x.name, func(t *testing.T) { x.run(t, f) })
	}
	f.service.ingested.HasMore = true
	rules := allowing(t, "fs:ImportFromStorage namespace/*", "fs:WriteObject repository/*")
	other := newFixture(t, ruled(rules))
	exchange{"another server's", "POST", path, body("s3://b/p/", "c/", token), nil, 400, refused}.run(t, other)
	shared := newSealer(t)
	mine := newFixture(t, func(c *Config) { c.Sealer = shared })
	theirs := newFixture(t, ruled(rules), func(c *Config) { c.Sealer = shared })
	seal := func(text string) string {
		return shared.Seal(text, "ingest range", "admin", "lake", "s3://b/p/", "c/")
	}
	sealed := seal(fmt.Sprintf("%d p/z", created.Add(-time.Hour).Unix()))
	exchange{"another coordinator's", "POST", path, body("s3://b/p/", "c/", sealed), nil, 201, `{"pagination":{"continuation_token":"","has_more":false,"last_key":""}}`}.run(t, mine)
	mine.service.ingest = coordinator.Ingest{}
	exchange{"another user's", "POST", path, body("s3://b/p/", "c/", sealed), nil, 400, refused}.run(t, theirs)
	for name, text := range map[string]string{
		"of more than an hour ago": fmt.Sprintf("%d p/z", created.Add(-time.Hour-time.Second).Unix()), "without a time": "p/z", "with a time alone": "1772600767", "empty": "",
	} {
		exchange{name, "POST", path, body("s3://b/p/", "c/", seal(text)), nil, 400, refused}.run(t, mine)
	}
	if mine.service.ingest != (coordinator.Ingest{}) || f.service.ingest != (coordinator.Ingest{}) || theirs.service.ingest != (coordinator.Ingest{}) {
		t.Error("a token that was refused lists something")
	}
}

// The answer says which range is none of the repository, or not as its file has it.
func TestRangesThatAreRefused(t *testing.T) {
	const path = "/api/v1/repositories/lake/branches/metaranges"
	for want, x := range map[string]struct {
		code int
		err  error
	}{
		"range not found": {404, fmt.Errorf("ranges[0].id: %w", fault.Missing("range"))},
		"invalid range":   {400, coordinator.ErrRange},
		"invalid range: ranges[0].count: too many": {400, fmt.Errorf("%w: ranges[0].count: too many", coordinator.ErrRange)},
	} {
		f := newFixture(t)
		f.service.err = x.err
		w := f.do("POST", path, `{"ranges":[]}`, nil)
		got := strings.TrimSpace(w.Body.String())
		if message, _, _ := strings.Cut(want, ":"); w.Code != x.code || got != `{"message":"`+message+`"}` {
			t.Errorf("%v: %d %s", x.err, w.Code, got)
		}
	}
}

func TestCreateMetaRange(t *testing.T) {
	const path = "/api/v1/repositories/lake/branches/metaranges"
	const one = `{"id":"r","min_key":"a","max_key":"b","count":1,"estimated_size":1}`
	body := func(text string) string { return `{"message":"request body has an error: ` + text + `"}` }
	for _, x := range []exchange{
		{"one", "POST", path, `{"ranges":[` + one + `]}`, nil, 201, `{"id":"` + strings.Repeat("ab", 32) + `"}`},
		{"no ranges", "POST", path, `{}`, nil, 400, body("ranges: value is required but missing")},
		{"no id", "POST", path, `{"ranges":[` + one + `,{"min_key":"a"}]}`, nil, 400, body("ranges[1].count: value is required but missing")},
		{"count", "POST", path, `{"ranges":[` + strings.Replace(one, `"count":1`, `"count":"1"`, 1) + `]}`, nil, 400, body("ranges[0].count: must be a whole number in the range of int64")},
		{"size", "POST", path, `{"ranges":[` + strings.Replace(one, `size":1`, `size":-1`, 1) + `]}`, nil, 400, body("ranges[0].estimated_size: must be a whole number in the range of uint64")},
		{"no credentials", "POST", path, `{"ranges":[]}`, http.Header{"Authorization": nil}, 401, `{"message":"error authenticating request"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			x.run(t, f)
			if want := []partition.RangeMetadata{{ID: "r", MinKey: "a", MaxKey: "b", Count: 1, EstimatedSize: 1}}; x.code == 201 && !reflect.DeepEqual(f.service.ranges, want) {
				t.Errorf("asked %+v, want %+v", f.service.ranges, want)
			}
		})
	}
}
