package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

func whole(id string) partition.Partition { return partition.Whole(id) }

// page is a page size at which a source makes a batch of each page.
const page = 256

// calls records calls to a store.
type calls struct {
	mu  sync.Mutex
	all []memstore.Call
}

func (c *calls) hook(_ context.Context, call memstore.Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, call)
	return nil
}

func (c *calls) of(op string) []memstore.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.all), func(call memstore.Call) bool { return call.Op != op })
}

func TestARedeliveryResumesAfterTheLastCover(t *testing.T) {
	source, want := numbered(t, 500, small)
	source.PageSize = 20
	var listed, stored calls
	source.Hook = listed.hook
	f := start(t, source)
	f.buckets["repo"].Hook = stored.hook
	f.record("id", small)
	p := whole("id")
	after := f.cover(p, want[:len(want)/2])
	f.publish(p)
	f.run(1)
	covers := f.covered("id", want)
	f.idle("id")
	if lists := listed.of("list"); len(lists) != 2 || lists[0].After != after[:len(after)-1] || lists[1].After != after {
		t.Errorf("listed %v, want once to check the start %q, and once after it", lists, after)
	}
	covered := 0
	for _, c := range listed.of("page") {
		if c.Key <= after {
			covered++
		}
	}
	if covered > 1 { // one to check the start
		t.Errorf("%d pages of covered keys were listed", covered)
	}
	if n := len(stored.of("put")); n != len(want)-len(want)/2 || len(covers) != len(want)+1 {
		t.Errorf("%d ranges stored and %d covers in all, want half of %d and one more", n, len(covers), len(want))
	}
}

func TestAPartitionThatIsDoneIsOnlyAcknowledged(t *testing.T) {
	source, want := numbered(t, 100, partition.DefaultBreaks)
	var listed calls
	source.Hook = listed.hook
	f := start(t, source)
	f.record("id", partition.DefaultBreaks)
	p := whole("id")
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), "id", p.ID, partition.Cover{Span: partition.Span{Upto: want[0].MaxKey}, Range: &want[0]}))
	expect.NoError(t, f.backend.Covers.Publish(t.Context(), "id", p.ID, partition.Cover{Span: partition.Span{After: want[0].MaxKey}}))
	f.publish(p)
	f.run(1)
	f.idle("id")
	if len(listed.all) != 0 {
		t.Errorf("a partition whose last cover ends it was listed: %v", listed.all)
	}
}

func TestPartitionsOfImportsThatAreOverAreDropped(t *testing.T) {
	source, _ := numbered(t, 10, small)
	var listed calls
	source.Hook = listed.hook
	f := start(t, source)
	f.record("canceled", small)
	f.cancel("canceled")
	f.publish(whole("canceled"), whole("unknown"))
	f.run(1)
	f.idle("canceled")
	f.idle("unknown")
	expect.Eventually(t, "both deliveries are over", func() bool { return f.outcome("over") == 2 })
	if len(listed.all) != 0 {
		t.Errorf("listed %v", listed.all)
	}
}

func TestPermanentErrorsFailTheImport(t *testing.T) {
	denied := fmt.Errorf("AccessDenied: you shall not pass: %w", objectstore.ErrRefused)
	for name, hook := range map[string]func(*fleet){
		"listing":   func(f *fleet) { f.buckets["bucket"].Hook = failing("page", denied) },
		"storing":   func(f *fleet) { f.buckets["repo"].Hook = failing("put", denied) },
		"namespace": func(f *fleet) { delete(f.buckets, "repo") },
		"source":    func(f *fleet) { delete(f.buckets, "bucket") },
		"bad UTF-8": func(f *fleet) { f.buckets["bucket"].Add("dir/\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			source, _ := numbered(t, 10, small)
			f := start(t, source)
			hook(f)
			f.record("id", small)
			f.publish(whole("id"))
			f.run(1)
			first := f.metrics
			f.run(1) // a refusal counts once another worker met it, too
			f.idle("id")
			r, err := f.imports.Get(t.Context(), "id")
			expect.NoError(t, err)
			want := "AccessDenied: you shall not pass"
			switch name {
			case "namespace", "source":
				want = "no such bucket"
			case "bad UTF-8":
				want = `dir/\xff`
			}
			if r.State != imports.Failed || !strings.Contains(r.Error, want) {
				t.Errorf("import is %s: %q, want failed: %q", r.State, r.Error, want)
			}
			failed := f.outcome("failed")
			f.metrics = first
			if failed += f.outcome("failed"); failed != 1 {
				t.Errorf("%v deliveries failed, want 1", failed)
			}
		})
	}
}

// failing is a hook that refuses the operation.
func failing(op string, err error) func(context.Context, memstore.Call) error {
	return func(_ context.Context, c memstore.Call) error {
		if c.Op == op {
			return err
		}
		return nil
	}
}

func TestTransientErrorsAreTriedAgain(t *testing.T) {
	source, want := numbered(t, 200, small)
	source.PageSize = 50
	var failures atomic.Int64
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "page" && c.Key > "dir/000100" && failures.Add(1) == 1 {
			return errors.New("SlowDown")
		}
		return nil
	}
	f := start(t, source)
	f.record("id", small)
	f.publish(whole("id"))
	f.run(1)
	got, _ := f.covers("id")
	f.idle("id")
	if !slices.Equal(slices.Collect(got.All()), want) || f.outcome("retried") != 1 || f.outcome("done") != 1 {
		t.Errorf("%d ranges of %d, %v deliveries retried and %v done", got.Ranges, len(want), f.outcome("retried"), f.outcome("done"))
	}
}

// blocked has one call for a page from a key on wait until its context ends. It signals
// that the call waits, and that its context has ended.
func blocked(source *memstore.Store, from string) (waiting, released chan struct{}) {
	waiting, released = make(chan struct{}, 1), make(chan struct{})
	var once sync.Once
	source.Hook = func(ctx context.Context, c memstore.Call) error {
		if c.Op != "page" || c.Key < from {
			return nil
		}
		block := false
		once.Do(func() { block = true })
		if block {
			waiting <- struct{}{}
			<-ctx.Done()
			close(released)
		}
		return nil
	}
	return waiting, released
}

// TestACanceledImportStopsAtOnce sends no heartbeat, which would check the import, too.
func TestACanceledImportStopsAtOnce(t *testing.T) {
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	waiting, released := blocked(source, "dir/000500")
	f := newFleet(t, connect(t, natsconn.Config{InProcess: startServer(t)}, backend.Options{Queue: queue.Config{AckWait: time.Hour}}), source)
	var stored calls
	f.buckets["repo"].Hook = stored.hook
	f.record("id", small)
	f.publish(whole("id"))
	f.run(1)
	expect.Received(t, "the listing", waiting)
	before := slices.IndexFunc(want, func(r partition.RangeMetadata) bool { return r.MaxKey >= "dir/000512" })
	expect.Eventually(t, "what was listed is covered", func() bool {
		n, err := f.backend.Covers.Count(t.Context(), "id")
		return err == nil && int(n) == before
	})
	f.cancel("id")
	expect.Received(t, "the end of the listing", released)
	f.idle("id")
	if f.outcome("over") != 1 {
		t.Errorf("%v deliveries are over, want 1", f.outcome("over"))
	}
	if n, err := f.backend.Covers.Count(t.Context(), "id"); err != nil || int(n) != before || len(stored.of("put")) != before {
		t.Errorf("%d ranges are stored and %d covers, %v, want those from before the cancel: %d", len(stored.of("put")), n, err, before)
	}
	if r, err := f.imports.Get(t.Context(), "id"); err != nil || r.State != imports.Canceled {
		t.Errorf("import is %s, %v", r.State, err)
	}
}

func TestLostHeartbeatsStopTheWork(t *testing.T) {
	server := startServer(t)
	q := connect(t, natsconn.Config{InProcess: server, Timeout: 500 * time.Millisecond}, backend.Options{Queue: queue.Config{AckWait: time.Second}})
	source, _ := numbered(t, 100, small)
	waiting, released := blocked(source, "")
	f := newFleet(t, q, source)
	f.record("id", small)
	f.publish(whole("id"))
	f.run(1)
	expect.Received(t, "the listing", waiting)
	expect.NoError(t, server.Shutdown())
	expect.Received(t, "the end of the work without heartbeats", released)
	expect.Eventually(t, "the delivery counts as lost", func() bool { return f.outcome("lost") == 1 })
}

func TestHeartbeatsKeepAPartition(t *testing.T) {
	q := connect(t, natsconn.Config{InProcess: startServer(t)}, backend.Options{Queue: queue.Config{AckWait: time.Second}})
	source, _ := numbered(t, 10, small)
	listing, release := make(chan struct{}), make(chan struct{})
	var lists atomic.Int64
	source.Hook = func(_ context.Context, c memstore.Call) error {
		if c.Op == "list" && lists.Add(1) == 1 {
			close(listing)
			<-release
		}
		return nil
	}
	f := newFleet(t, q, source)
	f.record("id", small)
	f.publish(whole("id"))
	f.run(2)
	expect.Received(t, "the listing", listing)
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if task, err := q.Queue.Puller(queue.Bulk).Pull(ctx); err == nil { // within two and a half times the ack wait
		t.Errorf("the partition was delivered again, delivery %d", task.Deliveries)
	}
	close(release)
	f.covers("id")
	f.idle("id")
	if lists.Load() != 1 {
		t.Errorf("listed %d times", lists.Load())
	}
}

func TestAWorkerThatStopsHandsItsPartitionBack(t *testing.T) {
	source, want := numbered(t, 1000, small)
	source.PageSize = page
	waiting, _ := blocked(source, "dir/000500")
	q := connect(t, natsconn.Config{InProcess: startServer(t)}, backend.Options{Queue: queue.Config{AckWait: 10 * expect.Patience}}) // longer than the test waits
	f := newFleet(t, q, source)
	f.record("id", small)
	f.publish(whole("id"))
	stop := f.run(1)
	expect.Received(t, "the listing", waiting)
	stop()
	if f.outcome("handed_back") != 1 {
		t.Errorf("%v deliveries were handed back, want 1", f.outcome("handed_back"))
	}
	f.run(1)
	f.covered("id", want)
}

func TestStartAndStopUnderLoad(t *testing.T) {
	source, want := numbered(t, 300, small)
	source.PageSize = 20
	f := start(t, source)
	f.record("id", small)
	f.publish(rangetest.Plan("id", []string{"dir/000100", "dir/000200"})...)
	for range 15 {
		var stops sync.WaitGroup
		for range 3 {
			stop := f.run(2)
			for range 2 { // several may stop it
				stops.Go(stop)
			}
		}
		stops.Wait()
	}
	f.run(2)
	f.covered("id", want)
	f.idle("id")
}
