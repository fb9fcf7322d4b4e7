package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/bench/fleet"
	"github.com/rangefleet/rangefleet/pkg/api"
)

func (b *bench) branches(ctx context.Context) error {
	return b.many(ctx, "branches of their own", "20k", func(n int) string { return fmt.Sprintf("b%d", n) })
}

func (b *bench) branch(ctx context.Context) error {
	return b.many(ctx, "one branch", "2k", func(int) string { return "main" })
}

// many submits b.imports imports at once to two coordinators. Each has size objects, except
// one in the middle that has 1,000.
func (b *bench) many(ctx context.Context, where, size string, branch func(n int) string) error {
	f, err := b.start(ctx, fleet.Config{Coordinators: 2, Workers: 4, Slots: 4, Keep: 4 << 30}, 20*time.Millisecond)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Repository(ctx, "many"); err != nil {
		return err
	}
	for n := range b.imports {
		if name := branch(n); name != "main" {
			if _, err := f.Clients[0].CreateBranch(ctx, "many", name, "main"); err != nil {
				return err
			}
		}
	}
	each, err := count("uuid-" + size)
	if err != nil {
		return err
	}
	var small, all time.Duration
	objects := int64(b.imports-1)*each + 1000
	err = b.row(ctx, f, fmt.Sprintf("%d to %s", b.imports, where), objects, func(row *Row) error {
		small, all, row.Ranges, err = b.submit(ctx, f, size, branch)
		return err
	})
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d imports at once to %s", b.imports, where)
	b.addTarget(name, "all finish", fmt.Sprintf("%.1f s", all.Seconds()), true)
	b.addTarget("one of 1,000 objects among them", "<= 5 s", fmt.Sprintf("%.1f s", small.Seconds()), small <= 5*time.Second)
	return nil
}

// submit submits the imports and waits for all of them. It returns how long the small one
// took from its own request on, how long all took, and the number of their ranges.
func (b *bench) submit(ctx context.Context, f *fleet.Fleet, size string, branch func(n int) string) (small, all time.Duration, ranges int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begun := time.Now()
	var stored atomic.Int64
	var users sync.WaitGroup
	for n := range b.imports {
		users.Go(func() {
			bucket, every := fmt.Sprintf("uuid-%s-%d", size, n), time.Second
			if n == b.imports/2 {
				bucket, every = "hive-1000", 50*time.Millisecond
			}
			i, err := f.Begin(ctx, n%len(f.Clients), "many", branch(n), bucket, fmt.Sprintf("d%d", n))
			var st api.ImportStatusResp
			if err == nil {
				st, err = i.Wait(ctx, patience, every, nil)
			}
			if err != nil {
				cancel(fmt.Errorf("import %d: %w", n, err))
				return
			}
			stored.Add(int64(st.Ranges))
			if n == b.imports/2 {
				small = time.Since(i.Begun)
			}
		})
	}
	users.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return 0, 0, 0, cause
	}
	return small, time.Since(begun), int(stored.Load()), nil
}
