package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

func TestTwoServicesOnOneQueue(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 1500)
	a, _ := f.serve()
	b, _ := f.serve()
	f.work(3)
	var ids []string
	for i := range 6 {
		r := request("", fmt.Sprintf("d%d", i))
		id := f.start([]*Service{a, b}[i%2], r)
		if again := f.start([]*Service{b, a}[i%2], r); again != id {
			t.Errorf("the other service returned %s for %s", again, id)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		r := f.completed(id)
		if r.Objects != int64(len(entries)) {
			t.Errorf("%s: %d objects", id, r.Objects)
		}
		for _, s := range []*Service{a, b} {
			if st, err := s.Status(t.Context(), "repo", id); err != nil || st.Commit == nil || st.Objects != r.Objects {
				t.Errorf("status %+v, %v", st, err)
			}
		}
	}
	if n := len(f.log()); n != 7 { // each import landed once, on top of the others
		t.Errorf("%d commits, want 7", n)
	}
	if n := len(f.keys()); n != 6*len(entries) {
		t.Errorf("%d keys are on the branch, want %d", n, 6*len(entries))
	}
}

// expectUnlessStopped checks that a request to a service that may have stopped has no
// other error.
func expectUnlessStopped(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, errStopped) {
		t.Error(err)
	}
}

func TestStartAndStopUnderLoad(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 600)
	stopWork := f.work(1)
	ids := map[string]bool{}
	var mu sync.Mutex
	for round := range 12 {
		s, stop := f.serve()
		var users sync.WaitGroup
		for user := range 6 {
			users.Go(func() { // requests go on while the service stops
				id, err := s.Start(root.In(t.Context()), request("", fmt.Sprintf("d%d", (round+user)%4)))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids[id] = true
				mu.Unlock()
				_, err = s.Status(t.Context(), "repo", id)
				expectUnlessStopped(t, err)
				if user == 0 {
					if err := s.Cancel(t.Context(), "repo", id); !fault.Is(err, fault.Conflict) {
						expectUnlessStopped(t, err)
					}
				}
				if user%2 == 0 {
					stop()
				}
			})
		}
		users.Wait()
		stop()
	}
	stopWork()
	_, stop := f.serve()
	stopWork = f.work(2)
	completed := 0
	for id := range maps.Keys(ids) {
		switch r := f.ended(id); r.State {
		case imports.Completed:
			if completed++; r.Objects != int64(len(entries)) {
				t.Errorf("%s: %d objects", id, r.Objects)
			}
		case imports.Canceled:
		default:
			t.Errorf("%s is %s: %q", id, r.State, r.Error)
		}
	}
	if n := len(f.log()); n != completed+1 {
		t.Errorf("%d commits of %d completed imports", n-1, completed)
	}
	stop()
	stopWork()
}
