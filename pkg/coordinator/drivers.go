package coordinator

import (
	"context"
	"maps"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

// drivers are the drivers that run in this process, at most one for each import. Its
// methods may be called concurrently.
type drivers struct {
	ctx  context.Context // of all drivers
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	states map[string]imports.State // by import: the state that its driver saw last
}

func newDrivers() *drivers {
	ctx, stop := context.WithCancel(context.Background())
	return &drivers{ctx: ctx, stop: stop, states: make(map[string]imports.State)}
}

// start runs drive in the background, unless the import is driven already or close was
// called.
func (d *drivers) start(id string, drive func(context.Context)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, driven := d.states[id]; driven || d.ctx.Err() != nil {
		return
	}
	d.states[id] = imports.Running
	d.work.Go(func() {
		defer d.remove(id)
		drive(d.ctx)
	})
}

func (d *drivers) remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.states, id)
}

// note records the state of an import, if it is driven.
func (d *drivers) note(id string, state imports.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, driven := d.states[id]; driven {
		d.states[id] = state
	}
}

// all returns the imports that are driven, each with the state that its driver saw last.
func (d *drivers) all() map[string]imports.State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.states)
}

// close stops all drivers, and waits until none runs any more.
func (d *drivers) close() {
	d.mu.Lock()
	d.stop() // under the lock, so that none is started after it
	d.mu.Unlock()
	d.work.Wait()
}
