package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// tried opens the buckets of one store for trials. A hook can make that fail.
type tried struct {
	store *memstore.Store
	hook  func(context.Context) error
}

func (s *tried) Trial(ctx context.Context, _ objectstore.URI) (trial.Bucket, error) {
	if s.hook != nil {
		if err := s.hook(ctx); err != nil {
			return trial.Bucket{}, err
		}
	}
	return trial.Bucket{Store: "http://store", Encodes: true, Pages: s}, nil
}

func (s *tried) ListAfter(_ context.Context, prefix, after string, keys int, take func([]objectstore.Listed)) (more bool, err error) {
	var page []objectstore.Listed
	for _, key := range s.store.Keys(prefix) {
		if key <= after || s.store.EndsAfter != nil && s.store.EndsAfter(after) {
			continue
		}
		if len(page) == cmp.Or(keys, 1000) {
			more = true
			break
		}
		page = append(page, objectstore.Listed{Key: []byte(key)})
	}
	take(page)
	return more, nil
}

func (s *tried) WalkPage(_ context.Context, prefix, _ string, take func([]objectstore.Listed)) (string, error) {
	for _, key := range s.store.Keys(prefix) {
		take([]objectstore.Listed{{Key: []byte(key)}})
	}
	return "", nil
}

// newTrials returns a service that tries the source, with dir/ of "bucket" and all of
// "repo" allowed, and what it opens.
func newTrials(t *testing.T, source *memstore.Store) (*Service, *tried) {
	t.Helper()
	f := newFleet(t, source)
	trials := &tried{store: source}
	f.config.Trials, f.config.Stores = trials, untrusted{f.buckets}
	f.config.Allowed = []objectstore.URI{{Scheme: objectstore.SchemeS3, Bucket: "bucket", Key: "dir/"}, {Scheme: objectstore.SchemeS3, Bucket: "repo"}}
	s := f.service()
	t.Cleanup(s.close)
	return s, trials
}

func TestTrySource(t *testing.T) {
	t.Parallel()
	source, _ := numbered(500)
	s, _ := newTrials(t, source)
	got, err := s.TrySource(t.Context(), "s3://bucket/dir/", 0)
	if err != nil || got.Report.Fault != nil || got.Report.Tried < 100 || len(got.Report.Walk.Keys) != 500 || got.Seed == 0 {
		t.Errorf("a correct store: %+v, %v", got, err)
	}
	if got.Store != "http://store" || !got.Encodes || got.Known || !got.Listing.Walks() || got.Source.String() != "s3://bucket/dir/" {
		t.Errorf("the store is described as %+v", got)
	}
	source.EndsAfter = func(after string) bool { return after > "dir/000100" }
	got, err = s.TrySource(t.Context(), "s3://bucket/dir/", 7)
	if err != nil || got.Report.Fault == nil || got.Report.Fault.Contradiction.Want == "" || got.Seed != 7 {
		t.Errorf("a store that ends early: %+v, %v", got, err)
	}
}

func TestTrySourceRefuses(t *testing.T) {
	t.Parallel()
	s, trials := newTrials(t, &memstore.Store{})
	for name, c := range map[string]struct {
		source string
		err    error // of the store
		kind   fault.Kind
		text   string
	}{
		"not allowed":     {"s3://bucket/other/", nil, fault.Invalid, "sources.allow"},
		"a namespace":     {"s3://repo/ns/", nil, fault.Invalid, "in repository namespace is"},
		"no source":       {"bucket", nil, fault.Invalid, "no scheme"},
		"another scheme":  {"gs://bucket/", nil, fault.Invalid, "unknown scheme"},
		"refused":         {"s3://bucket/dir/", fmt.Errorf("%w: AccessDenied", objectstore.ErrRefused), fault.Invalid, "AccessDenied"},
		"no such bucket":  {"s3://bucket/dir/", objectstore.ErrNotFound, fault.Invalid, "not found"},
		"a store is away": {"s3://bucket/dir/", errors.New("connection refused"), fault.Later, "connection refused"},
	} {
		trials.hook = func(context.Context) error { return c.err }
		_, err := s.TrySource(t.Context(), c.source, 0)
		if !fault.Is(err, c.kind) || !strings.HasPrefix(err.Error(), "source: ") || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want a fault of the source with %q", name, err, c.text)
		}
	}
}

// TestTrialsAreBounded checks that at most two trials run at a time.
func TestTrialsAreBounded(t *testing.T) {
	t.Parallel()
	source, _ := numbered(10)
	f := newFleet(t, source)
	entered, leave := make(chan struct{}), make(chan struct{})
	trials := &tried{store: source, hook: func(context.Context) error {
		entered <- struct{}{}
		<-leave
		return nil
	}}
	f.config.Trials = trials
	s := f.service()
	t.Cleanup(s.close)
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := s.TrySource(t.Context(), "s3://bucket/", 0)
			done <- err
		}()
		<-entered
	}
	if _, err := s.TrySource(t.Context(), "s3://bucket/", 0); !fault.Is(err, fault.Busy) {
		t.Errorf("a third trial: %v, want fault.Busy", err)
	}
	close(leave)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	go func() { <-entered }()
	if _, err := s.TrySource(t.Context(), "s3://bucket/", 0); err != nil {
		t.Errorf("after the other trials: %v", err)
	}
}
