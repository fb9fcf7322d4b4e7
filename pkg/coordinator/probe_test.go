package coordinator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// paths is an import of several prefixes of the bucket to one destination.
func paths(destination string, prefixes ...string) Start {
	r := request("", destination)
	r.Paths = nil
	for _, p := range prefixes {
		r.Paths = append(r.Paths, imports.Path{Type: imports.CommonPrefix, URI: "s3://bucket/" + p, Destination: destination})
	}
	return r
}

// TestAnEmptyPathFailsTheImport imports mistyped prefixes, alone and beside others.
func TestAnEmptyPathFailsTheImport(t *testing.T) {
	t.Parallel()
	source, _ := numbered(2000)
	source.Add("small/a", "only/")
	f := newFleet(t, source)
	f.config.Markers = imports.SkipMarkers
	s, _ := f.serve()
	f.work(2)
	f.do(s, request("small/", "keep"))
	before := f.keys()
	for name, r := range map[string]Start{
		"alone":             request("typo/", ""),
		"into a directory":  request("typo/", "keep"),
		"beside many pages": paths("keep", "dir/", "typo/"),
		"beside one key":    paths("keep", "small/", "typo/"),
		"only its marker":   request("only/", ""),
	} {
		log := len(f.log())
		got := f.ended(f.start(s, r))
		if got.State != imports.Failed || !strings.Contains(got.Error, "nothing was changed") || !strings.Contains(got.Error, "allow_empty") {
			t.Errorf("%s: import is %s: %q", name, got.State, got.Error)
		}
		if len(f.log()) != log || !slices.Equal(f.keys(), before) {
			t.Errorf("%s: the branch has changed", name)
		}
	}
}

func TestAnEmptyPathIsImportedIfAllowed(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("small/a", "other/b")
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	f.do(s, request("small/", "keep"))
	f.do(s, request("other/", "gone"))
	r := request("typo/", "gone")
	r.Request.AllowEmpty = true
	f.do(s, r)
	if got := f.keys(); !slices.Equal(got, []string{"keep/a"}) {
		t.Errorf("the branch holds %q, want keep/a", got)
	}
	f.do(s, paths("")) // a request without paths has no empty path
}

// TestASourceThatVanishesFailsTheImport empties the source after the import was planned.
func TestASourceThatVanishesFailsTheImport(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("small/a")
	f := newFleet(t, source)
	s, _ := f.serve()
	id := f.start(s, request("small/", ""))
	f.planned(id)
	source.Remove("small/a")
	f.work(1)
	if got := f.ended(id); got.State != imports.Failed || !strings.Contains(got.Error, "s3://bucket/small/") || len(f.log()) != 1 {
		t.Errorf("import is %s: %q, %d commits", got.State, got.Error, len(f.log()))
	}
}

// TestAStoreThatDoesNotAnswerIsNotEmpty fails the first calls to the source.
func TestAStoreThatDoesNotAnswerIsNotEmpty(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("small/a")
	var calls atomic.Int64
	source.Hook = func(context.Context, memstore.Call) error {
		if calls.Add(1) <= 2 {
			return errors.New("connection reset")
		}
		return nil
	}
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	f.do(s, request("small/", ""))
	if got := f.keys(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("the branch holds %q", got)
	}
}

// TestAFolderMarkerIsLeftOut imports a folder with its marker to the root, in several
// partitions.
func TestAFolderMarkerIsLeftOut(t *testing.T) {
	t.Parallel()
	source, entries := numbered(2000)
	source.Add("dir/")
	f := newFleet(t, source)
	f.config.Markers = imports.SkipMarkers
	s := f.service()
	id := f.startCut(s, request("dir/", ""), "000300", "000900")
	f.run(s.Run)
	f.work(2)
	f.completed(id)
	if got := f.keys(); len(got) != len(entries) || got[0] != "000000" {
		t.Errorf("the branch holds %d keys from %q on, want %d", len(got), got[:min(1, len(got))], len(entries))
	}
	r := f.do(s, request("dir/", ""))
	status, err := s.Status(t.Context(), "repo", r.Job.ImportID)
	expect.NoError(t, err)
	if status.Record.Skipped != 1 || status.Objects != int64(len(entries)) {
		t.Errorf("status has %d objects and %d skipped", status.Objects, status.Record.Skipped)
	}
	r = f.do(s, request("dir/", "below"))
	if r.Skipped != 0 || !slices.Contains(f.keys(), "below/") {
		t.Errorf("below a directory %d were skipped", r.Skipped)
	}
}

func TestAFolderMarkerFailsTheImportIfAsked(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("dir/", "dir/a")
	f := newFleet(t, source)
	f.config.Markers = imports.FailMarkers
	s, _ := f.serve()
	f.work(1)
	got := f.ended(f.start(s, request("dir/", "")))
	if got.State != imports.Failed || !strings.Contains(got.Error, "s3://bucket/dir/") || !strings.Contains(got.Error, "imports.markers") {
		t.Errorf("import is %s: %q", got.State, got.Error)
	}
}
