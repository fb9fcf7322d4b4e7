package coordinator

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

func TestAnImportHasOneDriver(t *testing.T) {
	d := newDrivers()
	leave := make(chan struct{})
	for range 2 {
		d.start("a", func(context.Context) { <-leave }) // a second one would not end
	}
	d.note("a", imports.Committing)
	d.note("unknown", imports.Running)
	if got := d.all(); !maps.Equal(got, map[string]imports.State{"a": imports.Committing}) {
		t.Errorf("driven are %v, want a", got)
	}
	leave <- struct{}{}
	expect.Eventually(t, "the driver ends", func() bool { return len(d.all()) == 0 })
	d.close()
}

// TestDriversStop starts drivers in many goroutines while they are closed. None runs
// after that.
func TestDriversStop(t *testing.T) {
	for range 50 {
		d := newDrivers()
		var running atomic.Int64
		var users sync.WaitGroup
		for user := range 10 {
			users.Go(func() {
				for i := range 20 {
					d.start(fmt.Sprint(user, "-", i%5), func(ctx context.Context) {
						running.Add(1)
						defer running.Add(-1)
						<-ctx.Done()
					})
				}
			})
		}
		d.close()
		if n := running.Load(); n != 0 {
			t.Fatalf("%d drivers run after close", n)
		}
		users.Wait()
		if n := len(d.all()); n != 0 {
			t.Fatalf("%d imports are driven after close", n)
		}
	}
}
