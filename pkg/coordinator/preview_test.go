package coordinator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// TestImportsCountTheirChanges compares the counts of dry runs, and of the imports
// themselves, with the entries on the branch before and after.
func TestImportsCountTheirChanges(t *testing.T) {
	t.Parallel()
	source, _ := numbered(3000)
	source.Add("more/a", "more/b")
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(2)
	var changed []entry.Entry
	for i := range 500 {
		changed = append(changed, entry.Entry{Key: fmt.Sprintf("d/%06d", i+10), Address: "s3://old/x"})
	}
	changed = append(changed, entry.Entry{Key: "d/gone", Address: "s3://old/x"}, entry.Entry{Key: "other", Address: "s3://old/x"})
	for _, tc := range []struct {
		name   string
		start  Start
		before func()
	}{
		{"into an empty branch", request("dir/", "d"), nil},
		{"again", request("dir/", "d"), nil},
		{"elsewhere", request("more/", "more"), nil},
		{"over another commit", request("dir/", "d"), func() { f.commit(changed...) }},
		{"in place of all keys", request("more/", ""), nil},
		{"with fewer keys", request("dir/", "d"), func() { source.Remove("dir/000100", "dir/002999"); source.Add("dir/000101x") }},
	} {
		if tc.before != nil {
			tc.before()
		}
		before, log := f.entries(), len(f.log())
		dry := tc.start
		dry.Request.DryRun, dry.Request.Message = true, tc.name
		preview := f.ended(f.start(s, dry))
		if preview.State != imports.Previewed || preview.Attempt != nil || preview.Changes == nil {
			t.Fatalf("%s: a dry run is %s: %q, %+v", tc.name, preview.State, preview.Error, preview.Changes)
		}
		if len(f.log()) != log || !slices.Equal(f.entries(), before) {
			t.Fatalf("%s: a dry run has changed the branch", tc.name)
		}
		tc.start.Request.Message = tc.name
		done := f.do(s, tc.start)
		want := changesBetween(before, f.entries())
		if *done.Changes != want || *preview.Changes != want || preview.Objects != done.Objects {
			t.Errorf("%s: the import counts %+v, its dry run %+v, want %+v; %d and %d objects",
				tc.name, *done.Changes, *preview.Changes, want, done.Objects, preview.Objects)
		}
		f.cleared(preview.Job.ImportID)
	}
}

// changesBetween counts how entries differ.
func changesBetween(before, after []entry.Entry) (c metarange.Changes) {
	had := make(map[string]entry.Entry)
	for _, e := range before {
		had[e.Key] = e
	}
	for _, e := range after {
		old, ok := had[e.Key]
		delete(had, e.Key)
		switch {
		case !ok:
			c.Added++
		case old == e:
			c.Unchanged++
		default:
			c.Replaced++
		}
	}
	c.Removed = int64(len(had))
	return c
}

// TestChangesAreThoseOfTheCommitThatLanded makes another commit at every step of landing.
func TestChangesAreThoseOfTheCommitThatLanded(t *testing.T) {
	t.Parallel()
	everyStep(t, func(l *coveredImport, n int) {
		d := l.driver(l.mine)
		l.steps.n = 0
		l.steps.before = func(at int) error {
			if at == n {
				l.fleet.commit(entry.Entry{Key: "other", Address: "s3://old/x"}) // which the import removes
			}
			return nil
		}
		_, err := d.step(t.Context())
		expect.NoError(t, err)
		r := l.driveToEnd()
		want := metarange.Changes{Added: 1}
		if log := l.fleet.log(); log[0].ID == r.Attempt.CommitID && len(log) == 3 {
			want.Removed = 1
		}
		if r.Changes == nil || *r.Changes != want {
			t.Errorf("another commit at step %d: %+v, want %+v", n, r.Changes, want)
		}
	})
}

func TestADryRunOfNothingFails(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s, _ := f.serve()
	r := request("typo/", "")
	r.Request.DryRun = true
	if got := f.ended(f.start(s, r)); got.State != imports.Failed {
		t.Errorf("the import is %s", got.State)
	}
}

func TestAPreviewedImportHasEnded(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("dir/a")
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	r := request("dir/", "")
	r.Request.DryRun = true
	done := f.ended(f.start(s, r))
	status, err := s.Status(t.Context(), "repo", done.Job.ImportID)
	expect.NoError(t, err)
	if status.Commit != nil || status.Objects != 1 || *status.Record.Changes != (metarange.Changes{Added: 1}) {
		t.Errorf("status %+v", status)
	}
	if err := s.Cancel(t.Context(), "repo", done.Job.ImportID); !fault.Is(err, fault.Conflict) {
		t.Errorf("cancel: %v, want a conflict", err)
	}
	if again := f.start(s, r); again == done.Job.ImportID {
		t.Error("the same dry run does not start again")
	}
}
