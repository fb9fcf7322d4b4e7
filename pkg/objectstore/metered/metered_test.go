package metered_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/metered"
	"github.com/rangefleet/rangefleet/pkg/tracing"
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

// Each call names the trace that it belongs to, on its own operation, and outside of a recorded trace
// none. Listings name none at all: traces cost them nothing.
func TestCallsNameTheTrace(t *testing.T) {
	calls := map[string]struct {
		do        func(ctx context.Context, s objectstore.Store) error
		operation string
	}{
		"stat": {func(ctx context.Context, s objectstore.Store) error { _, err := s.Stat(ctx, "k"); return err }, "stat"},
		"get":  {func(ctx context.Context, s objectstore.Store) error { _, err := s.Get(ctx, "k", 1); return err }, "get"},
		"get range": {func(ctx context.Context, s objectstore.Store) error {
			_, _, err := s.GetRange(ctx, "k", 0, 1)
			return err
		}, "get"},
		"put": {func(ctx context.Context, s objectstore.Store) error { return s.Put(ctx, "k", nil, objectstore.Sum{}) }, "put"},
		"list": {func(ctx context.Context, s objectstore.Store) error {
			for _, err := range s.List(ctx, "", "", objectstore.ListOptions{}) {
				return err
			}
			return nil
		}, ""},
	}
	unsampled := tracing.Place{Parent: strings.TrimSuffix(tracedlog.Place().Parent, "1") + "0"}
	for name, call := range calls {
		for _, fails := range []error{nil, objectstore.ErrNotFound} {
			for _, place := range []tracing.Place{tracedlog.Place(), unsampled, {}} {
				reg := prometheus.NewRegistry()
				store := metered.New(reg).Wrap(scripted{err: fails})
				if err := call.do(place.In(t.Context()), store); !errors.Is(err, fails) {
					t.Fatalf("%s: %v", name, err)
				}
				want := map[string]string{}
				if place.ID() != "" && call.operation != "" {
					want[call.operation] = place.ID()
				}
				if got := exemplars(t, reg); !maps.Equal(got, want) {
					t.Errorf("%s, error %v, in trace %q: exemplars %v, want %v", name, fails, place.ID(), got, want)
				}
			}
		}
	}
}

// exemplars returns the traces that the histogram of calls refers to, by operation.
func exemplars(t *testing.T, reg *prometheus.Registry) map[string]string {
	t.Helper()
	families, err := reg.Gather()
	expect.NoError(t, err)
	traces := map[string]string{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				for _, l := range b.GetExemplar().GetLabel() {
					traces[m.GetLabel()[0].GetValue()] += l.GetValue()
				}
			}
		}
	}
	return traces
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
