package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/tampered"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// An import within which imports.MaxBegun coordinators have died fails before it kills the
// next one, planned or not. After one death less it goes on, and the count starts anew.
func TestAnImportThatKillsCoordinatorsFails(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 100)
	deaths := func(id string, n int) {
		for range n {
			_, err := f.imports.Apply(t.Context(), id, imports.Record.Begin)
			expect.NoError(t, err)
		}
	}
	absent := f.service()
	deadly, other := f.start(absent, request("", "")), f.start(absent, request("", "other"))
	cut := f.startCut(absent, request("", "cut"))
	deaths(deadly, imports.MaxBegun)
	deaths(cut, imports.MaxBegun)
	deaths(other, imports.MaxBegun-1)
	absent.close()

	f.serve()
	f.work(2)
	for _, id := range []string{deadly, cut} {
		got := f.ended(id)
		if got.State != imports.Failed || !strings.Contains(got.Error, fmt.Sprintf("%d coordinators in a row", imports.MaxBegun)) || !strings.Contains(got.Error, id) {
			t.Errorf("the import is %s: %q, want it failed by the deaths of its coordinators", got.State, got.Error)
		}
	}
	if got := f.completed(other); got.Begun != 0 {
		t.Errorf("%d steps are noted as begun of an import that is completed", got.Begun)
	}
	if n := len(f.log()); n != 2 {
		t.Errorf("%d commits, want the first one and that of one import", n)
	}
}

// The record notes a step that may kill the process before the step begins. An error of
// the step takes the note back.
func TestCostlyStepsAreNotedBeforeTheyBegin(t *testing.T) {
	t.Parallel()
	source, _ := numbered(100)
	f := newFleet(t, source)
	f.commit(entry.Entry{Key: "a", Address: "s3://old/a"}) // is merged with the import, and so read
	var mu sync.Mutex
	var id string
	noted := map[string][]int{} // by the step's first call to a store
	note := func(op string) func(context.Context, memstore.Call) error {
		return func(ctx context.Context, c memstore.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if c.Op != op || id == "" {
				return nil
			}
			r, err := f.imports.Get(ctx, id)
			expect.NoError(t, err)
			noted[op] = append(noted[op], r.Begun)
			if len(noted[op]) == 1 {
				return errors.New("try again")
			}
			return nil
		}
	}
	source.Hook, f.buckets["repo"].Hook = note("list"), note("get")
	absent := f.service()
	mu.Lock()
	id = f.start(absent, request("", ""))
	mu.Unlock()
	absent.close()
	f.serve()
	expect.Eventually(t, "the import is planned", func() bool {
		r := f.record(id)
		return r.Partitions != nil && r.Begun == 0
	})
	mu.Lock()
	if !slices.Equal(noted["list"], []int{1, 1}) {
		t.Errorf("while it was planned, twice, %v steps were noted as begun", noted["list"])
	}
	mu.Unlock()
	f.work(1)
	if got := f.completed(id); got.Begun != 0 {
		t.Errorf("%d steps are noted as begun of an import that is completed", got.Begun)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := len(noted["get"]); n < 2 || slices.ContainsFunc(noted["get"], func(begun int) bool { return begun != 1 }) {
		t.Errorf("while it was merged, %v steps were noted as begun", noted["get"])
	}
}

// A tampered file fails the import that reads it, and the listing of its tree, with an
// error that names the file. The coordinator and imports of other repositories go on.
func TestATamperedFileFailsItsReaders(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 100)
	f.repository("other", "s3://repo/other")
	f.commit(entry.Entry{Key: "a", Address: "s3://old/a"}, entry.Entry{Key: "b", Address: "s3://old/b"})
	s, _ := f.serve()
	f.work(2)
	for _, key := range f.buckets["repo"].Keys("ns/_lakefs/") {
		_, id, _ := strings.Cut(key, "_lakefs/")
		whole, err := f.files().Get(t.Context(), id)
		expect.NoError(t, err)
		r, err := table.NewReader(whole)
		expect.NoError(t, err)
		if r.Properties().Count == 0 { // the metarange of the first commit
			continue
		}
		parts := tampered.TakeApart(whole)
		parts.SetData(0, append([]byte("\x00\x7f\x00"), parts.Data()[0]...))
		expect.NoError(t, f.files().Put(t.Context(), id, parts.Bytes(), objectstore.Sum{}))

		before := len(f.log())
		got := f.ended(f.start(s, request("", "z")))
		if got.State != imports.Failed || !strings.Contains(got.Error, id) || !strings.Contains(got.Error, table.ErrCorrupt.Error()) || len(f.log()) != before {
			t.Errorf("%s of %d records: the import is %s: %q, want failed by that file", id, r.Properties().Count, got.State, got.Error)
		}
		tree, err := s.Tree(t.Context(), "repo", "main")
		if err == nil {
			_, _, err = tree.List(t.Context(), "", "", "", 10)
		}
		if !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: the tree is listed with error %v, want ErrCorrupt that names it", id, err)
		}
		elsewhere := request("", r.Properties().MinKey+id)
		elsewhere.Request.Repository = "other"
		f.do(s, elsewhere)
		expect.NoError(t, f.files().Put(t.Context(), id, whole, objectstore.Sum{}))
	}
	f.do(s, request("", "z"))
}

// Steps that had begun when a process died run one at a time. One of them may have killed
// it, and would kill the next process alone.
func TestStepsThatMayBeDeadlyRunOneAtATime(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s := f.service()
	t.Cleanup(s.close)
	var drivers []*driver
	for _, destination := range []string{"a", "b"} {
		id := f.start(s, request("", destination))
		_, err := f.imports.Apply(t.Context(), id, imports.Record.Begin)
		expect.NoError(t, err)
		drivers = append(drivers, s.newDriver(id, root))
	}
	entered, leave := make(chan string), make(chan struct{})
	var group sync.WaitGroup
	for _, d := range drivers {
		group.Go(func() {
			expect.NoError(t, d.lander.trees.steps.survive(t.Context(), func() error {
				entered <- d.imp.id
				<-leave
				return nil
			}))
		})
	}
	first := <-entered
	expect.Eventually(t, "the other step waits", func() bool {
		s.limits.deadly.mu.Lock()
		defer s.limits.deadly.mu.Unlock()
		return s.limits.deadly.keys[""].users == 2
	})
	for _, d := range drivers {
		record := f.record(d.imp.id)
		if want := 1 + map[bool]int{true: 1}[d.imp.id == first]; record.Begun != want {
			t.Errorf("%d steps are begun, want %d", record.Begun, want)
		}
	}
	leave <- struct{}{}
	if second := <-entered; second == first {
		t.Error("one step has run twice")
	}
	leave <- struct{}{}
	group.Wait()
}

// Steps that a process has survived do not count as deaths, even if their results are not
// recorded.
func TestSurvivedStepsDoNotCountAsDeaths(t *testing.T) {
	t.Parallel()
	f, _ := numberedFleet(t, 10)
	s := f.service()
	t.Cleanup(s.close)
	d := s.newDriver(f.start(s, request("", "")), root)
	for range imports.MaxBegun + 1 {
		expect.NoError(t, d.lander.trees.steps.survive(t.Context(), func() error { return nil }))
	}
	record, err := f.imports.Get(t.Context(), d.imp.id)
	if expect.NoError(t, err); record.Begun != 1 {
		t.Errorf("%d steps are noted as begun, want the last one", record.Begun)
	}
}
