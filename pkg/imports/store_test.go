package imports_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// buckets runs a test on each implementation of a bucket.
func buckets(t *testing.T, test func(*testing.T, kv.Bucket)) {
	t.Run("memory", func(t *testing.T) { test(t, new(kvtest.Memory)) })
	t.Run("nats", func(t *testing.T) { test(t, queuetest.Start(t).Bucket(kv.BucketImports)) })
}

func get(t *testing.T, s *imports.Store, id string) imports.Record {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	expect.NoError(t, err)
	return r
}

func claim(t *testing.T, s *imports.Store, id string) string {
	t.Helper()
	got, err := s.Claim(t.Context(), newRecord(id))
	expect.NoError(t, err)
	return got
}

func ids(t *testing.T, s *imports.Store) []string {
	t.Helper()
	got, err := s.IDs(t.Context())
	expect.NoError(t, err)
	return got
}

func end(t *testing.T, s *imports.Store, id string) imports.Record {
	t.Helper()
	r, err := s.Apply(t.Context(), id, func(r imports.Record) (imports.Record, error) { return r.Fail(later, nil, "broken", 0) })
	expect.NoError(t, err)
	return r
}

func TestApplyLosesNoTransition(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		expect.NoError(t, s.Create(t.Context(), newRecord("id")))
		const contenders = 12
		var wg sync.WaitGroup
		errs := make([]error, contenders)
		for i := range contenders {
			wg.Go(func() {
				_, errs[i] = s.Apply(t.Context(), "id", func(r imports.Record) (imports.Record, error) {
					r.Objects++
					return r, nil
				})
			})
		}
		wg.Wait()
		expect.NoError(t, errors.Join(errs...))
		if r := get(t, s, "id"); r.Objects != contenders {
			t.Errorf("%d of %d transitions are in the record", r.Objects, contenders)
		}
	})
}

// hooks is a bucket that calls hooks before it reads and writes.
type hooks struct {
	kv.Bucket
	create func(key string) error
	update func(key string) error
	get    func(key string) error
	writes int
}

func (h *hooks) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if h.get != nil {
		if err := h.get(key); err != nil {
			return nil, 0, err
		}
	}
	return h.Bucket.Get(ctx, key)
}

func (h *hooks) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if h.create != nil {
		if err := h.create(key); err != nil {
			return 0, err
		}
	}
	return h.Bucket.Create(ctx, key, value)
}

func (h *hooks) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	h.writes++
	if h.update != nil {
		if err := h.update(key); err != nil {
			return 0, err
		}
	}
	return h.Bucket.Update(ctx, key, value, rev)
}

func TestApplyRepeatsTheTransitionAfterAConflict(t *testing.T) {
	bucket := &hooks{Bucket: new(kvtest.Memory)}
	s, rival := imports.NewStore(bucket), imports.NewStore(bucket.Bucket)
	expect.NoError(t, s.Create(t.Context(), newRecord("id")))
	bucket.update = func(string) error { // a cancel slips in between the read and the write
		bucket.update = nil
		_, err := rival.Apply(t.Context(), "id", func(r imports.Record) (imports.Record, error) { return r.Cancel(later, 3) })
		return err
	}
	r, err := s.Apply(t.Context(), "id", func(r imports.Record) (imports.Record, error) { return r.Commit(later, nil, attempt("a")) })
	if !fault.Is(err, fault.Conflict) || r.State != imports.Canceled || get(t, s, "id").State != imports.Canceled {
		t.Errorf("commit after a cancel: %+v, %v", r, err)
	}
}

// While NATS elects a leader, reads may be stale, and writes at stale revisions are refused.
// That lasts less than a second.
func TestApplySurvivesStaleReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := &hooks{Bucket: new(kvtest.Memory)}
		s := imports.NewStore(bucket)
		expect.NoError(t, s.Create(t.Context(), newRecord("id")))
		elected := time.Now().Add(300 * time.Millisecond)
		bucket.update = func(string) error {
			if time.Now().Before(elected) {
				return kv.ErrConflict
			}
			return nil
		}
		r, err := s.Apply(t.Context(), "id", func(r imports.Record) (imports.Record, error) { return r.Cancel(later, 3) })
		if err != nil || r.State != imports.Canceled {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestApply(t *testing.T) {
	bucket := &hooks{Bucket: new(kvtest.Memory)}
	s := imports.NewStore(bucket)
	same := func(r imports.Record) (imports.Record, error) { return r, nil }
	if _, err := s.Apply(t.Context(), "id", same); !fault.Is(err, fault.NotFound) {
		t.Errorf("Apply without a record: %v", err)
	}
	expect.NoError(t, s.Create(t.Context(), newRecord("id")))
	if _, err := s.Apply(t.Context(), "id", same); err != nil || bucket.writes != 0 {
		t.Errorf("a transition that changes nothing made %d writes, %v", bucket.writes, err)
	}
	bucket.update = func(string) error { return kv.ErrConflict }
	plan := func(r imports.Record) (imports.Record, error) {
		return r.Plan(later, parts, objectstore.Listing{}, nil, 0)
	}
	if _, err := s.Apply(t.Context(), "id", plan); err == nil || !strings.Contains(err.Error(), "lost 50 rounds") {
		t.Errorf("endless conflicts: %v after %d writes", err, bucket.writes)
	}
	bucket.update = func(string) error { return errors.New("disk full") }
	if _, err := s.Apply(t.Context(), "id", plan); err == nil || !strings.Contains(err.Error(), "store import id: disk full") {
		t.Errorf("error of the bucket: %v", err)
	}
	if r := get(t, s, "id"); r.Partitions != nil {
		t.Error("a refused write is in the record")
	}
}

func TestCreateKeepsAnExistingRecord(t *testing.T) {
	s := imports.NewStore(new(kvtest.Memory))
	expect.NoError(t, s.Create(t.Context(), newRecord("id")))
	end(t, s, "id")
	expect.NoError(t, s.Create(t.Context(), newRecord("id")))
	if got := get(t, s, "id"); got.State != imports.Failed {
		t.Errorf("Create made a %s record out of a failed one", got.State)
	}
}

func TestDelete(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		claim(t, s, "old")
		old := end(t, s, "old")
		claim(t, s, "new") // takes over the key of the request
		for range 2 {      // deleting again is harmless
			expect.NoError(t, s.Delete(t.Context(), old))
		}
		if _, err := s.Get(t.Context(), "old"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Get of a deleted import: %v", err)
		}
		if id := claim(t, s, "x"); id != "new" {
			t.Errorf("deleting an old import let the running one's request start %s", id)
		}
		// As read back from the bucket, the record still finds its request's key.
		if err := s.Delete(t.Context(), get(t, s, "new")); err != nil || get(t, s, "new").State != imports.Running {
			t.Errorf("an import that runs was deleted, %v", err)
		}
		end(t, s, "new")
		expect.NoError(t, s.Delete(t.Context(), get(t, s, "new")))
		if keys, err := bucket.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
			t.Errorf("the bucket holds %q, %v", keys, err)
		}
	})
}

func TestGetErrors(t *testing.T) {
	bucket := new(kvtest.Memory)
	s := imports.NewStore(bucket)
	if _, err := s.Get(t.Context(), "id"); !fault.Is(err, fault.NotFound) || err.Error() != "import id not found" {
		t.Errorf("Get without a record: %v", err)
	}
	for _, id := range []string{"", ".", "a..b", "no such", "*", ">", "é", "\x00"} {
		if _, err := s.Get(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("Get(%q): %v, want NotFound: no import has that ID", id, err)
		}
	}
	if _, err := bucket.Create(t.Context(), "i.id", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "id"); err == nil || !strings.Contains(err.Error(), "i.id of the bucket imports cannot be decoded") {
		t.Errorf("Get of garbage: %v", err)
	}
}

func TestWatchTicks(t *testing.T) {
	buckets(t, func(t *testing.T, bucket kv.Bucket) {
		s := imports.NewStore(bucket)
		claim(t, s, "id")
		ticks, err := s.Watch(t.Context(), "id")
		expect.NoError(t, err)
		end(t, s, "id")
		<-ticks // the test's deadline bounds it
	})
}

// spoil stores a value under a key that cannot be decoded.
func spoil(t *testing.T, bucket kv.Bucket, key, value string) {
	t.Helper()
	_, rev, err := bucket.Get(t.Context(), key)
	expect.NoError(t, err)
	if _, err := bucket.Update(t.Context(), key, []byte(value), rev); err != nil {
		t.Fatal(err)
	}
}
