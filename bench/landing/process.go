package landing

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/bench/measure"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// Process is what a coordinator's process takes for a landing: from the last cover to the end
// of the import. Peak is that since the process started.
type Process struct {
	measure.Usage
	Before int64 `json:"before_bytes"` // the peak before any import
}

// publishers is how many covers are published at a time.
const publishers = 64

// MeasureProcess lands two imports of n ranges each on a branch, the second beside the first,
// and measures the coordinator during the second. Instead of workers, this process publishes
// the covers. Programs are built into dir.
func MeasureProcess(ctx context.Context, dir string, n int) (p Process, err error) {
	if err := fleet.Build(ctx, dir); err != nil {
		return p, err
	}
	f, err := fleet.Start(ctx, fleet.Config{Dir: dir, Coordinators: 1, Keep: 256 << 20, Unsynced: true})
	if err != nil {
		return p, err
	}
	defer f.Close()
	b, err := backend.Connect(ctx, natsconn.Config{URL: f.NATSURL, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
	if err != nil {
		return p, err
	}
	defer b.Close()
	if err := f.Repository(ctx, "repo"); err != nil {
		return p, err
	}
	idle, err := f.Coordinators[0].Usage()
	if err != nil {
		return p, err
	}
	for _, destination := range []string{"events/a/", "events/b/"} {
		i, err := f.Begin(ctx, 0, "repo", "main", "hive-10k", destination)
		if err != nil {
			return p, err
		}
		if p.Usage, err = landIn(ctx, f.Coordinators[0], b, i, destination, n); err != nil {
			return p, fmt.Errorf("import to %s: %w", destination, err)
		}
	}
	p.Before = idle.Peak
	return p, nil
}

// landIn publishes the covers of an import, and measures the coordinator from the last one on.
func landIn(ctx context.Context, c *fleet.Process, b *backend.Backend, i fleet.Import, destination string, n int) (u measure.Usage, err error) {
	var objects atomic.Int64
	var all errgroup.Group
	all.SetLimit(publishers)
	after := ""
	for j := range n {
		r := pair(destination, 2*j).RangeMetadata
		cover := partition.Cover{Span: partition.Span{After: after, Upto: r.MaxKey}, Range: &r}
		after = r.MaxKey
		all.Go(func() error {
			objects.Add(r.Count)
			return b.Covers.Publish(ctx, i.ID, "bench", cover)
		})
	}
	if err := all.Wait(); err != nil {
		return u, err
	}
	const within = 5 * time.Minute
	covered := func(st api.ImportStatusResp) bool { return st.IngestedObjects == objects.Load() }
	if _, err := i.Wait(ctx, within, 100*time.Millisecond, covered); err != nil {
		return u, err
	}
	before, err := c.Usage()
	if err != nil {
		return u, err
	}
	begun := time.Now()
	if err := b.Covers.Publish(ctx, i.ID, "bench", partition.Cover{Span: partition.Span{After: after}}); err != nil {
		return u, err
	}
	if _, err := i.Wait(ctx, within, 20*time.Millisecond, nil); err != nil {
		return u, err
	}
	u, err = c.Usage()
	u.Wall, u.CPU = time.Since(begun), u.CPU-before.CPU
	return u, err
}
