package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// supervisorTest is the supervisor of the coordinator "me", and what it has done.
type supervisorTest struct {
	*supervisor
	registry  *prometheus.Registry
	bucket    *kvtest.Memory // of the records
	peers     []string       // coordinators that are alive
	away      error          // why it is not known which are
	started   []string       // imports that it has started to drive
	discarded []string       // imports whose messages it has discarded
}

func newSupervisorTest(t *testing.T) *supervisorTest {
	t.Helper()
	s := &supervisorTest{registry: prometheus.NewRegistry(), bucket: new(kvtest.Memory), peers: []string{"me", "peer"}}
	log, store := tracedlog.New(t), imports.NewStore(s.bucket)
	m, followers := newMetrics(s.registry), follow.New(follow.Config{Log: log, Registerer: s.registry})
	t.Cleanup(followers.Close)
	s.supervisor = &supervisor{
		imports: store, session: "me", watch: new(fleetWatch), followers: followers, drivers: newDrivers(), ages: newAges(nil, time.Now),
		cleanup: &cleanup{
			imports: store, followers: followers, forgotten: m.forgotten, now: time.Now, log: log, ended: make(map[string]end),
			discard: func(_ context.Context, id string) error { s.discarded = append(s.discarded, id); return nil },
		},
		alive:  func(context.Context) ([]string, error) { return s.peers, s.away },
		broken: &brokenRecords{of: make(map[string]map[string]string), shown: m.broken, log: log},
		start:  func(r imports.Record) { s.started = append(s.started, r.Job.ImportID) }, metrics: m, log: log,
	}
	return s
}

// TestEachImportGetsADriver has imports of this coordinator, of a peer that is alive, and of
// one that is gone.
func TestEachImportGetsADriver(t *testing.T) {
	s := newSupervisorTest(t)
	for id, driver := range map[string]string{"1": "me", "2": "peer", "3": "gone", "4": ""} {
		create(t, s.imports, id, driver, request("", id))
	}
	_, err := s.bucket.Create(t.Context(), "i.5", []byte("{"))
	expect.NoError(t, err)
	s.away = errors.New("NATS does not answer")
	if err := s.scan(t.Context()); !errors.Is(err, s.away) || len(s.started) > 0 {
		t.Errorf("while it is not known who is alive, %v were started: %v", s.started, err)
	}
	s.away = nil
	expect.NoError(t, s.scan(t.Context()))
	if !slices.Equal(s.started, []string{"1", "3", "4"}) {
		t.Errorf("started are %v, want all but that of the peer, and the broken one", s.started)
	}
	if n := measured.Sum(t, s.registry, "rangefleet_import_takeovers_total"); n != 1 {
		t.Errorf("%v imports count as taken over, want that of the coordinator that is gone", n)
	}
	if n := measured.Sum(t, s.registry, "rangefleet_records_broken"); n != 1 {
		t.Errorf("%v records count as broken", n)
	}
}

// TestAnImportThatIsDrivenHereIsLeftAlone checks that an import is not started again while
// its driver runs, and counts as in the state that the driver saw last.
func TestAnImportThatIsDrivenHereIsLeftAlone(t *testing.T) {
	s := newSupervisorTest(t)
	create(t, s.imports, "1", "me", request("", ""))
	s.drivers.start("1", func(ctx context.Context) { <-ctx.Done() })
	t.Cleanup(s.drivers.close)
	s.drivers.note("1", imports.Committing)
	expect.NoError(t, s.scan(t.Context()))
	if len(s.started) > 0 {
		t.Errorf("started are %v", s.started)
	}
	if n := measured.Sum(t, s.registry, "rangefleet_fleet_imports", string(imports.Committing)); n != 1 {
		t.Errorf("%v imports are committing, want 1", n)
	}
}

// TestMessagesWithoutARunningImportAreDiscarded surveys messages of a running import, of
// one that has ended, and of one without a record.
func TestMessagesWithoutARunningImportAreDiscarded(t *testing.T) {
	s := newSupervisorTest(t)
	s.cleanup.log = slog.New(slog.DiscardHandler) // without a record, the trace is not known
	create(t, s.imports, "runs", "peer", request("", "a"))
	create(t, s.imports, "over", "peer", request("", "b"))
	_, err := s.imports.Apply(t.Context(), "over", func(r imports.Record) (imports.Record, error) { return r.Fail(time.Now(), nil, "refused", 0) })
	expect.NoError(t, err)
	seen := backend.Survey{Covers: map[string]uint64{"runs": 1, "over": 1}}
	seen.Partitions = map[string][]string{"runs": {"p"}, "unknown": {"p"}}
	s.watch.last.Store(&survey{seen, 1})
	for range 2 {
		expect.NoError(t, s.scan(t.Context()))
		if !slices.Equal(s.discarded, []string{"over", "unknown"}) {
			t.Errorf("discarded are the messages of %v, want over and unknown, once", s.discarded)
		}
	}
}
