package metered_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/metered"
)

// scripted answers every call with err, after its pages.
type scripted struct {
	pages [][]objectstore.Listed
	err   error
}

func (s scripted) List(context.Context, string, string, objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	return func(yield func([]objectstore.Listed, error) bool) {
		for _, page := range s.pages {
			if !yield(page, nil) {
				return
			}
		}
		if s.err != nil {
			yield(nil, s.err)
		}
	}
}

func (s scripted) Stat(context.Context, string) (objectstore.Object, error) {
	return objectstore.Object{}, s.err
}
func (s scripted) Get(context.Context, string, int64) ([]byte, error) { return nil, s.err }

func (s scripted) GetRange(context.Context, string, int64, int64) ([]byte, int64, error) {
	return nil, 0, s.err
}

func (s scripted) Put(context.Context, string, []byte, objectstore.Sum) error { return s.err }

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	meter := metered.New(reg)
	pages := [][]objectstore.Listed{make([]objectstore.Listed, 3), make([]objectstore.Listed, 2)}
	for _, s := range []scripted{
		{pages: pages},
		{},
		{pages: pages[:1], err: errors.New("down")},
		{err: fmt.Errorf("x: %w", objectstore.ErrNotFound)},
		{err: objectstore.ErrRefused},
		{err: objectstore.ErrBadListing},
		{err: objectstore.ErrThrottled},
		{err: fmt.Errorf("x: %w", context.DeadlineExceeded)},
		{err: context.Canceled},
	} {
		store := meter.Wrap(s)
		for _, err := range store.List(t.Context(), "", "", objectstore.ListOptions{}) {
			if !errors.Is(err, s.err) && err != nil {
				t.Errorf("List: %v, want %v", err, s.err)
			}
		}
		_, errStat := store.Stat(t.Context(), "k")
		_, errGet := store.Get(t.Context(), "k", 1<<20)
		for _, err := range []error{errStat, errGet, store.Put(t.Context(), "k", make([]byte, 10), objectstore.Sum{})} {
			if !errors.Is(err, s.err) {
				t.Errorf("error %v, want %v", err, s.err)
			}
		}
	}
	for _, op := range []string{"list", "stat", "get", "put"} { // each call has a time
		if calls, times := measured.Sum(t, reg, "rangefleet_objectstore_requests_total", op), measured.Sum(t, reg, "rangefleet_objectstore_request_duration_seconds", op); calls != times {
			t.Errorf("%v times of %v calls to %s", times, calls, op)
		}
	}
	want := map[string]uint64{
		"rangefleet_objectstore_objects_listed_total": 8, "rangefleet_objectstore_put_bytes_total": 20,
		"list/ok": 4, "list/error": 1, "stat/ok": 2, "stat/error": 1, "get/ok": 2, "get/error": 1, "put/ok": 2, "put/error": 1,
	}
	for _, op := range []string{"list", "stat", "get", "put"} {
		for _, outcome := range []string{"not_found", "refused", "bad_listing", "throttled", "timeout", "canceled"} {
			want[op+"/"+outcome] = 1
		}
	}
	for name, n := range gather(t, reg) {
		if n != want[name] {
			t.Errorf("%s is %d, want %d", name, n, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// gather returns the counters by name, and those of calls by operation/code.
func gather(t *testing.T, reg *prometheus.Registry) map[string]uint64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			switch {
			case m.GetHistogram() != nil:
				continue
			case len(m.GetLabel()) == 0:
				counts[family.GetName()] = uint64(m.GetCounter().GetValue())
				continue
			}
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counts[labels["operation"]+"/"+labels["code"]] = uint64(m.GetCounter().GetValue())
		}
	}
	return counts
}
