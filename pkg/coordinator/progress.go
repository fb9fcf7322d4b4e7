package coordinator

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/pkg/coordinator/follow"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/progress"
)

// Progress is how far an import is beyond the ranges that are stored. Workers report it from
// time to time and nothing stores it, so reports may be lost.
type Progress struct {
	Listed          int64 // keys that listings have shown; at least the keys that are covered
	Estimate        Estimate
	PerSecond       float64       // keys listed a second, smoothed
	Remaining       time.Duration // until all keys are listed; 0 if that is not known
	Elapsed         time.Duration // since the import was accepted, or until it ended
	Workers         int           // processes that list it
	Queued, Running int           // partitions
	Throttles       int64         // times that a store asked for fewer calls
	Retries         int64         // times that a call, a partition or a step was tried again
	TreeRanges      int           // of the new tree, that were read or written while it commits
	EstimatedRanges int           // of that tree
}

// Estimate is how many keys an import probably has. The zero Estimate is that nothing is known.
type Estimate struct {
	Keys, Low int64
	High      int64 // 0 if there is no telling
}

// progressOf returns how far an import is. outstanding is the number of its partitions that are
// queued or running.
func progressOf(p *follow.Progress, outstanding int) Progress {
	now := p.Look(outstanding)
	running := min(now.Running, outstanding)
	shown := Progress{
		Listed: now.Listed, PerSecond: now.PerSecond, Remaining: now.Remaining, Workers: now.Workers,
		Queued: outstanding - running, Running: running, Throttles: now.Throttles, Retries: now.Retries,
	}
	step := p.Step()
	shown.Retries += step.Retries
	shown.TreeRanges, shown.EstimatedRanges = step.Ranges, step.EstimatedRanges
	if now.Estimate.Some {
		shown.Estimate = Estimate{now.Estimate.Keys, now.Estimate.Low, now.Estimate.High}
	}
	return shown
}

// beats are what drivers of this process tell of their imports, each second. Its methods may be
// called concurrently.
type beats struct {
	mu sync.Mutex
	of map[string]*beat // by import
}

// beat is what the driver of one import tells. Its methods may be called concurrently.
type beat struct {
	busy              atomic.Bool
	ranges, estimated atomic.Int64
	retries           atomic.Int64
}

// tree notes that a tree of about so many ranges is made from its first one on.
func (b *beat) tree(estimated int) {
	b.ranges.Store(0)
	b.estimated.Store(int64(estimated))
}

func (b *beats) begin(id string) *beat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = make(map[string]*beat)
	}
	b.of[id] = new(beat)
	return b.of[id]
}

func (b *beats) end(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, id)
}

// steps returns what is to be told now.
func (b *beats) steps() (all []progress.Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, of := range b.of {
		s := progress.Step{
			ImportID: id, Busy: of.busy.Load(), Ranges: int(of.ranges.Load()), EstimatedRanges: int(of.estimated.Load()), Retries: of.retries.Load(),
		}
		if s.Busy || s.Retries > 0 {
			all = append(all, s)
		}
	}
	return all
}

const (
	beatEvery = time.Second
	beatOf    = 500 // imports in a message
)

// run tells all coordinators what the drivers of this one do, until ctx ends.
func (b *beats) run(ctx context.Context, to *gossip.Gossip, log *slog.Logger) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for steps := range slices.Chunk(b.steps(), beatOf) {
			if err := to.BroadcastSteps(steps); err != nil {
				log.DebugContext(ctx, "tell what drivers do", "err", err)
			}
		}
	}
}

// latest returns the latest of several times.
func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
