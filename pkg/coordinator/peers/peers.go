// Package peers is the membership of coordinators: each registers as alive by a lease,
// and sees which others are alive, to take over the imports of those that are not.
package peers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/kv"
)

const (
	leasePrefix   = "coordinator."         // of the names of the leases of coordinators
	retryEvery    = 500 * time.Millisecond // how often a coordinator tries to get its lease
	releaseWithin = time.Second            // deadline for releasing it
)

// Config is what a registry works with. All fields are required.
type Config struct {
	Leases     *kv.Leases
	ID         string // names this coordinator in its lease, and in the records of imports
	Holder     string // names this process to people who look at leases
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Registry knows which coordinators are alive. Its methods may be called concurrently.
type Registry struct {
	cfg   Config
	alive atomic.Int64 // as of the last call of Alive; 0 before the first
	shown prometheus.Gauge
}

// New returns a registry.
func New(cfg Config) *Registry {
	return &Registry{cfg: cfg, shown: metric.With(cfg.Registerer).Gauge("fleet_coordinators", "Coordinators that are alive.")}
}

// Run keeps the lease of this coordinator until ctx ends, and then releases it, so that
// its peers take over its imports at once.
//
// When NATS is out of reach for longer than the lease lives, the lease is lost, and
// peers may take over imports that this coordinator still drives. Then two drive an
// import, until one of them sees in the record that it is not the driver.
func (r *Registry) Run(ctx context.Context) {
	for ctx.Err() == nil {
		lease, err := r.cfg.Leases.Acquire(ctx, leasePrefix+r.cfg.ID, r.cfg.Holder)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, kv.ErrHeld) {
				r.cfg.Log.WarnContext(ctx, "register as a coordinator", "err", err)
			}
			_ = pause.For(ctx, retryEvery) // the loop looks at ctx
			continue
		}
		select {
		case <-lease.Lost():
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
			defer cancel()
			if err := lease.Release(ctx); err != nil {
				r.cfg.Log.DebugContext(ctx, "deregister as a coordinator", "err", err)
			}
			return
		}
	}
}

// Alive returns the IDs of the coordinators that are alive. This one is among them, with
// or without its lease.
func (r *Registry) Alive(ctx context.Context) ([]string, error) {
	ids, err := r.cfg.Leases.Held(ctx, leasePrefix)
	if err != nil {
		return nil, err
	}
	for i, name := range ids {
		ids[i] = name[len(leasePrefix):]
	}
	if !slices.Contains(ids, r.cfg.ID) {
		ids = append(ids, r.cfg.ID)
	}
	r.alive.Store(int64(len(ids)))
	r.shown.Set(float64(len(ids)))
	return ids, nil
}

// Alone reports whether no other coordinator was alive at the last call of Alive. It is
// false before the first call.
func (r *Registry) Alone() bool { return r.alive.Load() == 1 }
