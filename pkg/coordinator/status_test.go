package coordinator

import (
	"errors"
	"runtime"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

func TestStatusNeverFalls(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	open := newGate(source, "dir/000300", 3) // the first page is the plan's
	f := newFleet(t, source)
	s, stop := f.serve()
	stopWork := f.work(1)
	id := f.start(s, request("", ""))
	var objects int64
	look := func(s *Service) Status {
		t.Helper()
		st, err := s.Status(t.Context(), "repo", id)
		expect.NoError(t, err)
		if st.Objects < objects {
			t.Fatalf("the status fell from %d objects to %d, state %s", objects, st.Objects, st.Record.State)
		}
		objects = st.Objects
		return st
	}
	expect.Eventually(t, "something is covered", func() bool { return look(s).Objects > 300 })
	if st := look(s); st.Partitions != 1 || st.Ranges < 2 || st.Record.State != imports.Running || st.Commit != nil {
		t.Errorf("status of a running import: %+v", st)
	}
	stop() // a new coordinator follows all covers before it answers
	stopWork()
	s, stop = f.serve()
	look(s)
	other := f.service() // a coordinator that does not drive the import
	look(other)
	other.close()
	stop()
	if _, err := f.service().Status(t.Context(), "elsewhere", id); !fault.Is(err, fault.NotFound) {
		t.Errorf("status under another repository: %v", err)
	}
	s, _ = f.serve()
	f.work(2)
	open()
	for !look(s).Record.State.Ended() {
		runtime.Gosched()
	}
	if st := look(s); st.Objects != int64(len(entries)) || st.Record.State != imports.Completed {
		t.Errorf("at the end: %+v", st)
	}
}

func TestEndedImportsAreNotFollowed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	id := f.start(s, request("", ""))
	if s.follow(id, root) == nil {
		t.Fatal("a running import is not followed")
	}
	expect.NoError(t, s.Cancel(t.Context(), "repo", id))
	if s.follow(id, root) != nil {
		t.Error("a canceled import is followed")
	}
	s.close()
	if s.follow("another", root) != nil {
		t.Error("a stopped service follows an import")
	}
	second := f.service() // it follows nothing
	second.close()
	running := f.start(s, request("", "elsewhere"))
	if _, err := second.Status(t.Context(), "repo", running); !errors.Is(err, errStopped) {
		t.Errorf("status of a stopped service: %v", err)
	}
}
