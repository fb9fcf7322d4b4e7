package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// listed are imports in all phases, newest first.
func listed() []imports.Record {
	record := func(id, repository string, state imports.State) imports.Record {
		return imports.Record{
			Job:     imports.Job{ImportID: id, Paths: []imports.Path{{URI: "s3://b/" + id + "/"}, {URI: "s3://b/more/"}}},
			Request: imports.Request{Repository: repository, Branch: "main", Committer: "admin", Message: "m"},
			State:   state, Created: created, Updated: created.Add(time.Minute),
		}
	}
	running, failed := record("i6", "lake", imports.Running), record("i5", "pond", imports.Failed)
	running.Problem, running.Objects = "no worker is heard of", 3
	failed.Error, failed.Objects = "s3://b: no such bucket", 4
	completed := record("i3", "lake", imports.Completed)
	completed.Objects, completed.Attempt = 5, &imports.Attempt{CommitID: "c2", MetarangeID: "m2"}
	previewed := record("i1", "lake", imports.Previewed)
	previewed.Request.DryRun = true
	return []imports.Record{
		running, failed, record("i4", "pond", imports.Canceled), completed, record("i2", "lake", imports.Committing), previewed,
	}
}

func TestListImports(t *testing.T) {
	const times = `"creation_date":"2026-03-04T05:06:07Z",`
	one := func(id, repository, phase, before, after string) string {
		return `{"branch":"main",` + before + `"committer":"admin",` + times + after +
			`"phase":"` + phase + `","repository":"` + repository + `","source":"s3://b/` + id + `/","sources":2,"update_time":"2026-03-04T05:07:07Z"}`
	}
	running := strings.Replace(one("i6", "lake", "running", "", `"id":"i6",`), `"repository"`, `"problem":"no worker is heard of","repository"`, 1)
	failed := one("i5", "pond", "failed", "", `"error":{"message":"import error: s3://b: no such bucket"},"id":"i5","ingested_objects":4,`)
	canceled := one("i4", "pond", "canceled", "", `"error":{"message":"import error: Canceled"},"id":"i4",`)
	completed := one("i3", "lake", "completed", `"commit_id":"c2",`, `"id":"i3","ingested_objects":5,"metarange_id":"m2",`)
	committing := one("i2", "lake", "committing", "", `"id":"i2",`)
	previewed := one("i1", "lake", "previewed", "", `"dry_run":true,"id":"i1",`)
	list := func(next string, results ...string) string {
		more := "false"
		if next != "" {
			more = "true"
		}
		return `{"pagination":{"has_more":` + more + `,"max_per_page":1000,"next_offset":"` + next + `","results":` + string('0'+rune(len(results))) +
			`},"results":[` + strings.Join(results, ",") + `]}`
	}
	const base = "/api/v1/imports"
	for _, x := range []exchange{
		{"all", "GET", base, "", nil, 200, list("", running, failed, canceled, completed, committing, previewed)},
		{"first page", "GET", base + "?amount=2", "", nil, 200, list("i5", running, failed)},
		{"last page", "GET", base + "?amount=2&after=i3", "", nil, 200, list("", committing, previewed)},
		{"of a repository", "GET", base + "?repository=pond", "", nil, 200, list("", failed, canceled)},
		{"of no repository", "GET", base + "?repository=none", "", nil, 200, list("")},
		{"of two phases", "GET", base + "?phase=running&phase=committing", "", nil, 200, list("", running, committing)},
		{"of both", "GET", base + "?phase=failed&repository=pond&amount=1", "", nil, 200, list("i5", failed)},
		{"the rest of it", "GET", base + "?phase=failed&repository=pond&amount=1&after=i5", "", nil, 200, list("")},
		{"no such phase", "GET", base + "?phase=running&phase=x", "", nil, 400, `{"message":"parameter \"phase\" in query has an error: \"x\" is not a phase"}`},
		{"too many", "GET", base + "?amount=1001", "", nil, 400, `{"message":"parameter \"amount\" in query has an error: at most 1000"}`},
		{"method", "POST", base, "", nil, 405, `{"message":"method not allowed"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := newFixture(t)
			f.imports.records = listed()
			x.run(t, f)
		})
	}
}

func TestErrorsWhileImportsAreListed(t *testing.T) {
	f := newFixture(t)
	f.imports.records, f.imports.err = listed(), errors.New("no answer")
	if w := f.do("GET", "/api/v1/imports", "", nil); w.Code != 503 {
		t.Errorf("%d %s, want 503", w.Code, w.Body)
	}
}

func everyone(imports.Record) (bool, error) { return true, nil }

// A search that takes long answers what it has found, at least one import further.
func TestASearchForImportsEndsInTime(t *testing.T) {
	h := &handlers{imports: &fakeImports{records: listed()}}
	ctx, cancel := context.WithTimeout(t.Context(), api.AnswerWithin/4)
	defer cancel()
	var found []string
	var params api.ListImportsParams
	params.Phase = []api.ImportPhase{api.Committing}
	for range listed() {
		page, err := h.importPage(ctx, params, 9, everyone)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Results {
			found = append(found, i.ID)
		}
		params.After = page.Pagination.NextOffset
	}
	if !slices.Equal(found, []string{"i2"}) || params.After != "" {
		t.Errorf("found %q, next %q", found, params.After)
	}
}

func TestOnlyImportsThatTheUserMayReadAreListed(t *testing.T) {
	h := &handlers{imports: &fakeImports{records: listed()}}
	var asked []branchName
	grants := map[string]error{"lake": nil, "pond": fault.Forbid("no")}
	mayRead := byBranch(rememberAnswers(func(b branchName) error {
		asked = append(asked, b)
		return grants[b.repository]
	}))
	page, err := h.importPage(t.Context(), api.ListImportsParams{}, 9, mayRead)
	if err != nil || page.Pagination.Results != 4 || len(asked) != 2 {
		t.Errorf("%+v, %v after %v", page, err, asked)
	}
	away := fault.Unavailable("", "the lakeFS server does not answer")
	if page, err := h.importPage(t.Context(), api.ListImportsParams{}, 9, byBranch(rememberAnswers(func(branchName) error { return away }))); !errors.Is(err, away) {
		t.Errorf("%+v, %v, want %v", page, err, away)
	}
}

func TestImportsAreListedBesideALakeFSServer(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Gate = &lakefs.Gate{} })
	if w := f.do("GET", "/api/v1/imports?phase=x", "", nil); w.Code != 400 {
		t.Errorf("%d %s, want that it is served", w.Code, w.Body)
	}
	if w := f.do("GET", "/api/v1/repositories", "", nil); w.Code != 404 {
		t.Errorf("%d %s, want that it is not served", w.Code, w.Body)
	}
}
