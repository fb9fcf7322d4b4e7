package worker

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// newStalling returns a stage that hears of the fleet.
func newStalling(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	var err error
	s.w.load, err = s.q.Queue.WatchLoad(t.Context(), s.q.Gossip, func() bool { return false })
	expect.NoError(t, err)
	s.w.chance = func() float64 { return 0 } // all are elected, and nothing is spread
	return s
}

// hears has the worker hear of a load.
func (s *stage) hears(t *testing.T, l queue.LaneLoad) {
	t.Helper()
	_, before := s.w.load.Last()
	expect.NoError(t, s.q.Gossip.Broadcast("load", l))
	expect.Eventually(t, "the load is heard", func() bool { _, seq := s.w.load.Last(); return seq > before })
}

var crowd = queue.LaneLoad{Running: 1, Pending: 1, Next: "other"}

// begun is a delivery that is at work, and waits for the store.
func (s *stage) begun(t *testing.T, store string) *delivery {
	t.Helper()
	d := s.resumed(t)
	d.slot.lane = queue.Bulk
	d.slot.take(d.task, s.at)
	d.waits.begin(store, "a page of "+store+"/")
	return d
}

// check is a look of the guard, after the clock has moved on.
func (s *stage) check(d *delivery, after time.Duration) (stopped error) {
	s.at = s.at.Add(after)
	d.ownership.confirm(s.at)
	stopped = d.heartbeat()
	if err := d.stall.check(); err != nil {
		return err
	}
	return stopped
}

func TestAPartitionWithoutProgressGivesWayToOthers(t *testing.T) {
	s := newStalling(t)
	s.publish(t, "id")
	d := s.begun(t, "s3://hangs")
	if err := s.check(d, time.Minute); err != nil {
		t.Errorf("while nobody waits: %v", err)
	}
	s.hears(t, crowd)
	var gaveWay *stalled
	if err := s.check(d, time.Second); !errors.As(err, &gaveWay) || gaveWay.wait.store != "s3://hangs" {
		t.Fatalf("while others wait: %v", err)
	}
	if err := s.check(d, time.Second); err != nil {
		t.Errorf("decided again by the same load: %v", err)
	}
	d.slot.progress.set(s.at)
	s.hears(t, crowd)
	if err := s.check(d, s.w.cfg.Stall); err != nil {
		t.Errorf("within its patience: %v", err)
	}
	if err := s.check(d, 1); !errors.As(err, &gaveWay) {
		t.Errorf("after its patience: %v", err)
	}
	s.hears(t, crowd)
	d.waits = newWaits(s.w.now, s.w.stalls.answered)
	if err := s.check(d, time.Minute); err != nil {
		t.Errorf("while it waits for no store: %v", err)
	}
}

// TestAWalkWaitsForAsLongAsItHasWalked has a store hang for longer than the patience, after
// a walk has passed over keys for hours. If the walk gave way, it would begin anew, meet
// the next such wait, and never come to its end.
func TestAWalkWaitsForAsLongAsItHasWalked(t *testing.T) {
	s := newStalling(t)
	s.publish(t, "id")
	d := s.begun(t, "s3://slow")
	d.stall.walks.Store(true)
	s.hears(t, crowd)
	const walked = 2 * maxPatience
	s.at = s.at.Add(walked)
	d.slot.progress.set(s.at)
	if err := s.check(d, walked); err != nil {
		t.Errorf("after it has waited for as long as it has walked: %v", err)
	}
	var gaveWay *stalled
	if err := s.check(d, 1); !errors.As(err, &gaveWay) {
		t.Errorf("after it has waited for longer than it has walked: %v", err)
	}
}

// TestAListingThatPassesOverKeysGoesOnForAsLong has a listing, which began at its start,
// end in a walk, which comes to the same key after an hour.
func TestAListingThatPassesOverKeysGoesOnForAsLong(t *testing.T) {
	s := newStalling(t)
	p := s.publish(t, "id")
	l := newLister(s.begun(t, "s3://contradicts"), p, partition.DefaultBreaks, nil)
	l.meter.further.set(s.at.Add(time.Second))
	s.at = s.at.Add(time.Hour)
	l.passOver()
	for after, want := range map[time.Duration]bool{time.Minute: false, 2 * time.Hour: true} {
		s.hears(t, crowd)
		begun := s.at
		s.at = s.at.Add(after)
		if got := l.yields(); got != want {
			t.Errorf("%v after it came there it gives way: %t", after, got)
		}
		s.at = begun
	}
}

// checkUntilStopped has the guard look after each step, while others wait.
func (s *stage) checkUntilStopped(t *testing.T, d *delivery, step time.Duration) (stopped error) {
	t.Helper()
	for stopped == nil {
		s.hears(t, crowd)
		stopped = s.check(d, step)
	}
	return stopped
}

// TestGivingWayIsNoFailedTry has a partition give way until the time that it waited in all
// counts as one try, as it would in one delivery, and no sooner.
func TestGivingWayIsNoFailedTry(t *testing.T) {
	s := newStalling(t)
	p := s.publish(t, "id")
	const step = 4 * time.Second
	var waited time.Duration
	for round := 0; ; round++ {
		d := s.begun(t, "s3://hangs")
		s.at = s.at.Add(2 * maxPatience) // no suspect has the turn any more
		d.slot.take(d.task, s.at)
		if d.tries.count != 1 {
			t.Errorf("round %d, after %v: %d tries", round, waited, d.tries.count)
		}
		stopped := s.checkUntilStopped(t, d, step)
		waited += d.slot.progress.since(s.at)
		if errors.Is(stopped, errStuck) {
			if waited <= stuck || waited > stuck+2*step {
				t.Errorf("a try failed after %v, want %v", waited, stuck)
			}
			if round < 4 || round > 12 {
				t.Errorf("it gave way %d times before", round)
			}
			d.finish(d.task.Trace.In(t.Context()), stopped)
			break
		}
		var gaveWay *stalled
		if !errors.As(stopped, &gaveWay) || gaveWay.pause < s.w.cfg.Stall || gaveWay.pause > maxPatience {
			t.Fatalf("round %d: %v", round, stopped)
		}
		gaveWay.pause = 0 // the test does not wait for it
		d.finish(d.task.Trace.In(t.Context()), gaveWay)
	}
	noted, _, err := s.q.Covers.Tries(t.Context(), "id", p.ID)
	if err != nil || noted.Waited != 0 || noted.Count != 1 {
		t.Errorf("noted after the try that failed: %+v, %v", noted, err)
	}
}

// TestOneSuspectOfAStoreIsTried has a fleet of two workers meet suspects of two stores.
func TestOneSuspectOfAStoreIsTried(t *testing.T) {
	s := newStalling(t)
	s.hears(t, crowd)
	suspect := func(store string, waited time.Duration) *stallWatch {
		d := newDelivery(t.Context(), s.w, &slot{lane: queue.Bulk}, new(queue.Task))
		d.tries.suspicion.Store(&suspicion{waited, store})
		return d.stall
	}
	first, second := suspect("s3://a", time.Second), suspect("s3://a", time.Second)
	if err := first.postponed(); err != nil {
		t.Errorf("the first suspect: %v", err)
	}
	var later *stalled
	if err := second.postponed(); !errors.As(err, &later) || later.pause < s.w.cfg.Stall || later.waited != 0 {
		t.Errorf("the second suspect: %v", err)
	}
	if err := suspect("s3://b", time.Second).postponed(); err != nil {
		t.Errorf("a suspect of another store: %v", err)
	}
	if err := suspect("", 0).postponed(); err != nil {
		t.Errorf("a partition that is no suspect: %v", err)
	}
	s.hears(t, queue.LaneLoad{Running: 1})
	if err := second.postponed(); err != nil {
		t.Errorf("while nobody waits: %v", err)
	}
	s.hears(t, crowd)
	first.recovered()
	if err := second.postponed(); err != nil {
		t.Errorf("after the first got further: %v", err)
	}
	s.w.stalls.receive([]byte(fmt.Sprintf(`{"store":"s3://b","for":%d}`, time.Hour))) // of another worker, whatever it says
	if err := suspect("s3://b", time.Second).postponed(); !errors.As(err, &later) || later.pause > 3*maxPatience {
		t.Errorf("while another worker tries: %v", err)
	}
}

// TestPatience checks that a partition of a slow store gets its page in the end, however
// long that takes, up to what one try of a store may take.
func TestPatience(t *testing.T) {
	random := seeded.Rand(t)
	s := newStage(t)
	stalls, limit := s.w.stalls, s.w.cfg.Stall
	for range 1000 {
		store := fmt.Sprint("s3://", random.IntN(5))
		took := time.Duration(random.Int64N(int64(3 * time.Minute)))
		var waited time.Duration
		for tries := 1; stalls.patience(store, waited) < took; tries++ {
			if tries > 8 {
				t.Fatalf("after %d tries and %v a page that takes %v is not waited for", tries, waited, took)
			}
			waited += stalls.patience(store, waited)
		}
		stalls.answered(store, took)
		if next := stalls.patience(store, 0); next < min(2*took, maxPatience) && took > limit || next < limit || next > maxPatience {
			t.Fatalf("after an answer that took %v the patience is %v", took, next)
		}
		if s.at = s.at.Add(time.Duration(random.Int64N(int64(keepStall)))); len(stalls.stores) > 5 {
			t.Fatalf("%d stores are kept", len(stalls.stores))
		}
	}
	s.at = s.at.Add(keepStall + 1)
	stalls.block("s3://new", 0)
	if len(stalls.stores) != 1 {
		t.Errorf("%d stores are kept of long ago", len(stalls.stores)-1)
	}
}

// TestWaitsAreReported has the import told what a partition waits for, not too often, and
// that it gets further.
func TestWaitsAreReported(t *testing.T) {
	s := newStalling(t)
	problems := make(chan gossip.Problem, 100)
	expect.NoError(t, s.q.Gossip.ListenProblems(t.Context(), func(t gossip.Problem) { problems <- t }))
	s.publish(t, "id")
	d := s.begun(t, "s3://hangs")
	for range int(2 * time.Minute / time.Second) {
		expect.NoError(t, s.check(d, time.Second))
	}
	for range 2 {
		if got := expect.Received(t, "a wait", problems); got.ImportID != "id" || !strings.Contains(got.Text, "wait for a page of s3://hangs/ since") {
			t.Errorf("reported %+v", got)
		}
	}
	s.at = s.at.Add(time.Second)
	d.slot.progress.set(s.at)
	expect.NoError(t, s.check(d, 1))
	if got := expect.Received(t, "that it gets further", problems); got.Text != "" {
		t.Errorf("reported %+v", got)
	}
}

func TestWaitsEnd(t *testing.T) {
	now := time.Now()
	var slow []time.Duration
	w := newWaits(func() time.Time { return now }, func(_ string, after time.Duration) { slow = append(slow, after) })
	if _, ok := w.longest(); ok {
		t.Error("nothing is waited for at first")
	}
	one := w.begin("s3://a", "one")
	now = now.Add(time.Second)
	two := w.begin("s3://b", "two")
	if l, ok := w.longest(); !ok || l.what != "one" {
		t.Errorf("the longest wait is %+v", l)
	}
	now = now.Add(time.Second)
	w.end(one, context.Canceled)
	if l, ok := w.longest(); !ok || l.what != "two" {
		t.Errorf("the longest wait is %+v", l)
	}
	w.end(two, nil)
	if _, ok := w.longest(); ok || len(slow) != 1 || slow[0] != time.Second {
		t.Errorf("after the last there is one, %v; answers took %v", ok, slow)
	}
}

// TestWaitingStoresAreWhatTheyWere lists and walks through the decorator.
func TestWaitingStoresAreWhatTheyWere(t *testing.T) {
	source := &memstore.Store{PageSize: 2}
	source.Add("a", "b", "c")
	w, repeats := newWaits(time.Now, func(string, time.Duration) {}), 0
	uri := objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "b"}
	store, err := waitingStores{repeatingStores{memstore.Buckets{"b": source}}, w, func(error) { repeats++ }}.Open(t.Context(), uri)
	expect.NoError(t, err)
	if repeats != 1 {
		t.Errorf("%d repeated calls were told, want 1", repeats)
	}
	walker, ok := store.(objectstore.Walker)
	if !ok {
		t.Fatal("the store cannot be walked any more")
	}
	for name, pages := range map[string]iter.Seq2[[]objectstore.Listed, error]{
		"list": store.List(t.Context(), "", "a", objectstore.ListOptions{}), "walk": walker.Walk(t.Context(), "", objectstore.ListOptions{}),
	} {
		var keys string
		for page, err := range pages {
			expect.NoError(t, err)
			for _, o := range page {
				keys += string(o.Key)
			}
			if l, ok := w.longest(); ok {
				t.Errorf("%s: while a page is taken %s is waited for", name, l.what)
			}
		}
		if want := map[string]string{"list": "bc", "walk": "abc"}[name]; keys != want {
			t.Errorf("%s: %q, want %q", name, keys, want)
		}
	}
	if l, ok := w.longest(); ok {
		t.Errorf("after all %s is waited for", l.what)
	}
	if _, err := (waitingStores{memstore.Buckets{}, w, nil}).Open(t.Context(), uri); err == nil {
		t.Error("a store that is not there was opened")
	}
}

// repeatingStores opens stores that tell of one repeated call at once.
type repeatingStores struct{ memstore.Buckets }

func (r repeatingStores) Open(ctx context.Context, u objectstore.URI) (objectstore.Store, error) {
	store, err := r.Buckets.Open(ctx, u)
	return repeatingStore{store.(objectstore.Walker)}, err
}

type repeatingStore struct{ objectstore.Walker }

func (r repeatingStore) Telling(repeated func(cause error)) objectstore.Store {
	repeated(objectstore.ErrThrottled)
	return r.Walker
}
