package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// TestAProblemOfWorkersIsShownUntilItPasses makes all workers fail to store ranges for a
// while.
func TestAProblemOfWorkersIsShownUntilItPasses(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 100)
	hook, repair := failUntil("put", errors.New("connection refused"))
	f.buckets["repo"].Hook = hook
	s, _ := f.serve()
	f.work(1)
	id := f.start(s, request("", ""))
	shows(f, s, id, "connection refused")
	if problem := f.record(id).Problem; !strings.HasPrefix(problem, "the keys (") {
		t.Errorf("the problem names no keys: %s", problem)
	}
	repair()
	completes(f, id, len(entries))
}

func TestReportsOfProblems(t *testing.T) {
	now := time.Now()
	p := make(problemReports)
	want := func(text string, outstanding ...string) {
		t.Helper()
		if got := p.current("import", outstanding, now); got != text {
			t.Errorf("the problem is %q, want %q", got, text)
		}
	}
	report := func(partition, text string) {
		p.note(gossip.Problem{ImportID: "import", PartitionID: partition, Text: text}, now)
	}
	want("", "a", "b")
	report("a", "first")
	want("first", "a", "b")
	want("", "b") // that partition is done
	report("b", "other")
	want("first", "a", "b")
	report("a", "second")
	want("second", "a", "b")
	report("b", "")
	want("second", "a", "b")
	report("a", "")
	want("", "a", "b")
	report("b", "other")
	want("other", "a", "b")
	now = now.Add(reportedFor)
	want("", "a", "b") // too long ago
	report("a", "third")
	want("third", "a", "b")
	p.note(gossip.Problem{ImportID: "other", PartitionID: "a", Text: "elsewhere"}, now)
	want("third", "a", "b")
	now = now.Add(reportedFor)
	if report("c", "fourth"); len(p) != 1 {
		t.Errorf("%d reports are kept, want old ones dropped", len(p))
	}
}

// errRefusal is a permanent error of a store.
var errRefusal = fmt.Errorf("AccessDenied: the bucket is locked: %w", objectstore.ErrRefused)

// TestADeadAttemptFailsTheImport moves the branch after an attempt was recorded, and then
// refuses the files of the next attempt for good.
func TestADeadAttemptFailsTheImport(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	d := l.driver(l.other)
	l.recordAttempt(d)
	moved := l.fleet.commit(entry.Entry{Key: "others", Address: "s3://old/x"})
	l.fleet.buckets["repo"].Hook, _ = failUntil("put", errRefusal)
	_, err := d.step(t.Context())
	expect.NoError(t, err)
	r := l.fleet.record(l.id)
	if r.State != imports.Failed || !strings.Contains(r.Error, "AccessDenied: the bucket is locked") || r.Problem != "" {
		t.Errorf("import is %s: %q", r.State, r.Error)
	}
	if head := l.fleet.log()[0]; head.ID != moved.ID {
		t.Errorf("the branch is at %+v", head)
	}
}

// TestAnAttemptThatCanLandIsTriedAgain refuses to move the branch, again and again. The
// attempt may land at any moment, so the import does not fail.
func TestAnAttemptThatCanLandIsTriedAgain(t *testing.T) {
	t.Parallel()
	l := newLanding(t, queuetest.Start(t))
	l.recordAttempt(l.driver(l.other))
	d := l.driver(l.mine)
	for range maxFailures + 5 {
		l.steps.n = 0
		l.steps.before = func(n int) error {
			if n > 1 { // the record is read
				return errRefusal
			}
			return nil
		}
		if ended, err := d.step(t.Context()); ended || !errors.Is(err, objectstore.ErrRefused) {
			t.Fatalf("step: %t, %v, want the refusal", ended, err)
		}
		d.failures++
	}
	l.steps.before = nil
	_, err := d.step(t.Context())
	expect.NoError(t, err)
	if r := l.driveToEnd(); r.State != imports.Completed {
		t.Errorf("import is %s: %q", r.State, r.Error)
	}
}

// recordAttempt records an attempt, and does not move the branch.
func (l *coveredImport) recordAttempt(d *driver) {
	l.fleet.t.Helper()
	record := l.fleet.record(l.id)
	head, err := l.fleet.catalog.Branch(l.fleet.t.Context(), "repo", "main")
	expect.NoError(l.fleet.t, err)
	fold, _ := d.progress.Fold()
	record, err = d.lander.to.(*catalogLander).attempt(l.fleet.t.Context(), record, head, fold)
	expect.NoError(l.fleet.t, err)
	if record.State != imports.Committing {
		l.fleet.t.Fatalf("import is %s", record.State)
	}
}

// TestAProblemIsShownUntilItPasses makes the first listing fail for a while.
func TestAProblemIsShownUntilItPasses(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 10)
	hook, repair := failUntil("list", errors.New("SlowDown: reduce your request rate"))
	f.buckets["bucket"].Hook = hook
	s, _ := f.serve()
	f.work(1)
	id := f.start(s, request("", ""))
	shows(f, s, id, "SlowDown: reduce your request rate")
	repair()
	completes(f, id, len(entries))
}

// TestACoverOfAnotherVersionIsAProblem has a process of another version store a cover.
// The cover is left alone. The import waits until it is gone, and reports that.
func TestACoverOfAnotherVersionIsAProblem(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	newer, err := backend.Connect(t.Context(), natsconn.Config{InProcess: server, Protocol: natsconn.Protocol + 1}, backend.Options{})
	expect.NoError(t, err)
	t.Cleanup(newer.Close)
	source, entries := numbered(10)
	f := fleetOver(t, q, source)
	s, _ := f.serve()
	id := f.start(s, request("", ""))
	expect.NoError(t, newer.Covers.Publish(t.Context(), id, "stray", partition.Cover{Span: partition.Span{Upto: "x"}}))
	shows(f, s, id, "this process is the older one: upgrade it")
	expect.NoError(t, q.Discard(t.Context(), id))
	f.work(1)
	completes(f, id, len(entries))
}

// TestASlowStoreDoesNotDelayOthers blocks the first listing of as many imports as may be
// planned at a time. Imports of another store end all the same.
func TestASlowStoreDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	slow, _ := numbered(10)
	open := newGate(slow, "", 0)
	f := newFleet(t, slow)
	f.buckets["quick"] = memstore.Of([]entry.Entry{{Key: "a", Address: "s3://quick/a"}})
	s, _ := f.serve()
	f.work(1)
	var waiting []string
	for i := range plansAll + 2 {
		waiting = append(waiting, f.start(s, request("", fmt.Sprint("slow", i))))
	}
	for i := range 5 {
		r := request("", fmt.Sprint("quick", i))
		r.Paths[0].URI = "s3://quick/"
		f.do(s, r)
	}
	for _, id := range waiting {
		if r, err := f.imports.Get(t.Context(), id); err != nil || r.State != imports.Running || r.Partitions != nil {
			t.Errorf("import of the slow store: %s, planned %v, %v", r.State, r.Partitions, err)
		}
	}
	open()
	for _, id := range waiting {
		f.completed(id)
	}
}

// TestManyImportsAtOnce gives two coordinators 200 imports, into one branch and into one
// branch each. Each import lands once.
func TestManyImportsAtOnce(t *testing.T) {
	t.Parallel()
	const many = 200
	for _, branches := range []int{1, many} {
		t.Run(fmt.Sprint(branches, " branches"), func(t *testing.T) {
			t.Parallel()
			f, entries := numberedFleet(t, 40)
			a, _ := f.serve()
			b, _ := f.serve()
			f.work(4)
			var ids []string
			for i := range many {
				r := request("", fmt.Sprint("d", i))
				if branches > 1 {
					r.Request.Branch = fmt.Sprint("b", i)
					_, err := f.catalog.Branches().Create(t.Context(), "repo", r.Request.Branch, "main")
					expect.NoError(t, err)
				}
				ids = append(ids, f.start([]*Service{a, b}[i%2], r))
			}
			for _, id := range ids {
				if r := f.completed(id); r.Objects != int64(len(entries)) {
					t.Errorf("%s: %d objects", id, r.Objects)
				}
			}
			if branches > 1 {
				return
			}
			if n := len(f.log()); n != many+1 {
				t.Errorf("%d commits on the branch, want %d", n, many+1)
			}
			if n := len(f.keys()); n != many*len(entries) {
				t.Errorf("%d keys on the branch, want %d", n, many*len(entries))
			}
		})
	}
}

// TestADriverStopsWhenItsImportIsTakenOver has a coordinator take over an import whose
// driver is alive, as it would if the driver had lost its lease.
func TestADriverStopsWhenItsImportIsTakenOver(t *testing.T) {
	t.Parallel()
	source, _ := numbered(2000)
	open := newGate(source, "dir/000300", 3)
	f := newFleet(t, source)
	old, _ := f.serve()
	id := f.start(old, request("", ""))
	f.planned(id)
	heir := f.service()
	stopHeir := f.run(heir.peers.Run) // without a lease it would be taken for dead
	expect.Eventually(t, "the heir is registered", func() bool {
		alive, err := old.peers.Alive(t.Context())
		expect.NoError(t, err)
		return len(alive) == 2
	})
	_, err := f.imports.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) {
		return r.Drive(old.session, heir.session)
	})
	expect.NoError(t, err)
	expect.Eventually(t, "the driver stops", func() bool { return !drives(old, id) })
	stopHeir()
	expect.Eventually(t, "the first coordinator takes the import back", func() bool { return drives(old, id) })
	open()
	f.work(2)
	f.completed(id)
	if n := sample(t, old, "rangefleet_import_takeovers_total", ""); n != 1 {
		t.Errorf("%v takeovers, want 1", n)
	}
}

// Without NATS, or without its quorum, nothing can be decided. So no error counts against
// an import while NATS does not answer.
func TestErrorsDoNotCountWhileNATSDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: queuetest.Mute{}, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
		expect.NoError(t, err)
		defer q.Close()
		d := &driver{backend: q, imp: &importHandle{
			id: "import", beat: new(beat), store: imports.NewStore(q.Bucket(kv.BucketImports)), metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler),
		}}
		for range 3 { // the first one comes before the outage is noticed, and cannot be reported
			d.noteError(t.Context(), errors.New("no answer"))
		}
		if d.failures != 1 {
			t.Errorf("%d failures count, want 1", d.failures)
		}
	})
}
