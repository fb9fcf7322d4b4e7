package coordinator

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// An import does not land if whoever started it has lost what it needs. It says so, and the branch
// stays as it was.
func TestAnImportOfARevokedCallerDoesNotLand(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 100)
	caller := access.Caller{User: "ann", Credential: access.Credential{Kind: access.AccessKey, ID: "RF1"}}
	f.config.MayImport = func(_ context.Context, c access.Caller, r access.Request) error {
		if c.User != caller.User || c.Credential != caller.Credential || r.Repository != "repo" || r.Branch != "main" ||
			len(r.Paths) != 1 || r.Paths[0] != (access.Path{Source: "s3://bucket/dir/", Destination: "d", Prefix: true}) {
			t.Errorf("asked about %+v, %+v", c, r)
		}
		return fault.Deny("its access key RF1 is not valid any more")
	}
	var refused atomic.Pointer[string]
	f.config.Refused = func(r imports.Record, why error) {
		refused.Store(new(r.Request.Branch + " of " + r.Request.StartedBy().User + ": " + why.Error()))
	}
	s, _ := f.serve()
	f.work(1)
	head, err := f.catalog.Branch(t.Context(), "repo", "main")
	expect.NoError(t, err)
	r := request("dir/", "d")
	r.Request.Caller = caller
	record := f.ended(f.start(s, r))
	if record.State != imports.Failed || !strings.Contains(record.Error, "user ann may not import this any more: its access key RF1 is not valid any more") {
		t.Errorf("%s: %q", record.State, record.Error)
	}
	if got := refused.Load(); got == nil || *got != "main of ann: "+record.Error {
		t.Errorf("told %v, want %s", got, record.Error)
	}
	if now, err := f.catalog.Branch(t.Context(), "repo", "main"); err != nil || now != head {
		t.Errorf("the branch moved to %+v, %v", now, err)
	}
}

// While it cannot be found out whether a caller may still import, an import waits.
func TestAnImportWaitsForTheAnswerAboutItsCaller(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 100)
	var asked atomic.Int64
	f.config.MayImport = func(_ context.Context, c access.Caller, _ access.Request) error {
		if c.User != access.Admin || c.Credential.ID != "me" {
			t.Errorf("asked about %+v, want the administrator with the key of the record", c)
		}
		if asked.Add(1) == 1 {
			return errors.New("no answer")
		}
		return nil
	}
	s, _ := f.serve()
	f.work(1)
	if record := f.ended(f.start(s, request("dir/", "d"))); record.State != imports.Completed || asked.Load() != 2 {
		t.Errorf("%s after %d questions: %s", record.State, asked.Load(), record.Error)
	}
}

// On a lakeFS server the rules are asked by the name of the user, after the server itself.
func TestAnImportOfARevokedCallerDoesNotLandOnAServer(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.fleet.config.MayImport = func(_ context.Context, c access.Caller, _ access.Request) error {
		if c.User != "me" {
			t.Errorf("asked about %+v", c)
		}
		return fault.Deny("insufficient permissions: not allowed to fs:ImportFromStorage")
	}
	s := i.fleet.service()
	t.Cleanup(s.close)
	s.session = i.service.session
	i.wantEnd(i.ends(i.driver(s)), imports.Failed, "user me may not import this any more: insufficient permissions: not allowed to fs:ImportFromStorage")
	if n := len(i.lakefs.landed()); n != 0 {
		t.Errorf("the import made %d commits", n)
	}
}
