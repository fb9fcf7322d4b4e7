package follow

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func newFollowers(t *testing.T, q *backend.Backend) (*Followers, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	f := New(Config{Covers: q.Covers, Expiry: time.Minute, Now: time.Now, Log: tracedlog.New(t), Registerer: reg})
	t.Cleanup(f.Close)
	return f, reg
}

// publish stores the cover of a range of so many objects.
func publish(t *testing.T, q *backend.Backend, id, after, upto string, objects int64) {
	t.Helper()
	c := partition.Cover{Span: partition.Span{After: after, Upto: upto}}
	if objects > 0 {
		c.Range = &partition.RangeMetadata{ID: fmt.Sprintf("%064x", objects), MinKey: upto, MaxKey: upto, Count: objects, EstimatedSize: 100}
	}
	expect.NoError(t, q.Covers.Publish(t.Context(), id, "p", c))
}

func TestCoversAreFoldedAsTheyCome(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	f, reg := newFollowers(t, q)
	publish(t, q, "i", "", "k", 3)
	p := f.Follow("i", tracedlog.Place())
	if f.Follow("i", tracedlog.Place()) != p {
		t.Error("an import is followed twice")
	}
	if !p.Await(t.Context(), 1) {
		t.Fatal("the import is not followed")
	}
	<-p.Changed()
	if fold, covers := p.Fold(); fold.Complete() || covers != 1 || fold.Objects != 3 {
		t.Errorf("after one cover: %+v of %d covers", fold, covers)
	}
	f.ShowLag(map[string]uint64{"i": 3, "unknown": 7})
	if lag := measured.Sum(t, reg, "rangefleet_fold_lag_covers"); lag != 2 {
		t.Errorf("the lag is %v, want 2", lag)
	}
	publish(t, q, "i", "k", "", 0)
	p.Await(t.Context(), 2)
	<-p.Changed()
	if fold, covers := p.Fold(); !fold.Complete() || covers != 2 {
		t.Errorf("after both covers: %+v of %d covers", fold, covers)
	}
	if objects, ranges := p.Covered(); objects != 3 || ranges != 1 {
		t.Errorf("%d objects in %d ranges are covered, want 3 in 1", objects, ranges)
	}
}

// Somebody who waits for a sign of progress does not wait for long for covers that lag. While covers
// are read from the first one on, a caller waits longer.
func TestAwaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgress(Config{Now: time.Now}, newMetrics(nil), nil, nil)
		waits := func(when string, n uint64, want time.Duration) {
			t.Helper()
			begun := time.Now()
			if ok, took := p.Await(t.Context(), n), time.Since(begun); !ok || took != want {
				t.Errorf("%s: waited for %v, want %v", when, took, want)
			}
		}
		waits("no cover came in", 1, catchUp)
		p.add(partition.Cover{Span: partition.Span{Upto: "k"}})
		waits("all covers came in", 1, 0)
		waits("a cover lags", 2, keepUp)
		p.reset()
		waits("covers are read again", 2, catchUp)
	})
}

func TestCoveredNeverFalls(t *testing.T) {
	p := newProgress(Config{Now: time.Now}, newMetrics(nil), nil, nil)
	p.add(partition.Cover{Span: partition.Span{Upto: "k"}, Range: &partition.RangeMetadata{ID: fmt.Sprintf("%064x", 1), MinKey: "k", MaxKey: "k", Count: 5}})
	before, _ := p.Covered()
	p.reset()
	if after, ranges := p.Covered(); after != before || before != 5 || ranges != 0 {
		t.Errorf("%d objects are covered, and after the covers are read again %d", before, after)
	}
}

// TestFollowersStop unfollows an import, and then closes all followers while others ask
// for imports.
func TestFollowersStop(t *testing.T) {
	t.Parallel()
	f, _ := newFollowers(t, queuetest.Start(t))
	p := f.Follow("a", tracedlog.Place())
	if ids := f.IDs(); !slices.Equal(ids, []string{"a"}) {
		t.Errorf("%q are followed, want a", ids)
	}
	f.Unfollow("a")
	if p.Await(t.Context(), math.MaxUint64) || len(f.IDs()) != 0 {
		t.Errorf("an import is followed after Unfollow; %q are", f.IDs())
	}
	var users sync.WaitGroup
	for user := range 10 {
		users.Go(func() {
			for i := range 50 {
				if id := fmt.Sprint(user, "-", i); f.Follow(id, tracedlog.Place()) != nil && i%2 == 0 {
					f.Unfollow(id)
				}
			}
		})
	}
	f.Close()
	users.Wait()
	if f.Follow("b", tracedlog.Place()) != nil {
		t.Error("closed followers follow an import")
	}
}

// Covers that cannot be followed are logged with the import and its trace, which newFollowers checks.
func TestFailuresToFollowNameTheTrace(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	f, _ := newFollowers(t, q)
	expect.NoError(t, q.Conn.NATS.Publish("c.i.p", []byte("no cover")))
	p := f.Follow("i", tracedlog.Place())
	expect.Eventually(t, "the covers cannot be followed", func() bool { return p.Err() != nil })
	f.Close() // which waits until that is logged
}
