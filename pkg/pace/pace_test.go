package pace_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/pace"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// limiter is what a test sees and does of a process.
type limiter struct {
	mu                    sync.Mutex
	active                bool
	throttles, cuts, most int
}

func (l *limiter) do(f func()) { l.mu.Lock(); defer l.mu.Unlock(); f() }

func (l *limiter) Active() (v bool)   { l.do(func() { v = l.active }); return v }
func (l *limiter) Throttles() (v int) { l.do(func() { v = l.throttles }); return v }
func (l *limiter) Most() (v int)      { l.do(func() { v = l.most }); return v }
func (l *limiter) Cuts() (v int)      { l.do(func() { v = l.cuts }); return v }
func (l *limiter) Cut()               { l.do(func() { l.cuts++ }) }
func (l *limiter) SetMost(n int)      { l.do(func() { l.most = n }) }

// TestProcessesKeepPaceOverNATS has three processes on one store and one on another.
func TestProcessesKeepPaceOverNATS(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(stop)
	var all []*limiter
	for _, store := range []string{"one", "one", "one", "two"} {
		l := &limiter{most: 96, active: true}
		all = append(all, l)
		q := queuetest.Connect(t, natsconn.Config{InProcess: server})
		running.Go(func() {
			err := pace.Run(ctx, pace.Config{
				Gossip: q.Gossip, Limiter: l, Store: store, Fleet: 30,
				Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	expect.Eventually(t, "three share the bound, and one has it to itself", func() bool {
		return all[0].Most() == 10 && all[1].Most() == 10 && all[2].Most() == 10 && all[3].Most() == 30
	})
	all[0].do(func() { all[0].throttles++ })
	expect.Eventually(t, "the other two are slowed down", func() bool { return all[1].Cuts() == 1 && all[2].Cuts() == 1 })
	if all[0].Cuts()+all[3].Cuts() > 0 {
		t.Error("the process that was throttled, or the one in another store, was slowed down by a message")
	}
	all[2].do(func() { all[2].active = false })
	expect.Eventually(t, "two share the bound", func() bool { return all[0].Most() == 15 && all[1].Most() == 15 })
}
