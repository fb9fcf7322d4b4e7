package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

// slowSteps returns after how long an import tells that it waits for a step, or within
// it: the first page of a source takes a moment, and the commit of a large import its time.
func slowSteps() map[string]time.Duration {
	return map[string]time.Duration{stepPlan: 10 * time.Second, stepCommit: 2 * time.Minute}
}

// slowly says what a step that takes long waits for.
func slowly(step, store string) string {
	if step == stepPlan {
		return fmt.Sprintf("the first page of %s is waited for", store)
	}
	return fmt.Sprintf("the commit takes long: files in %s are read and stored", store)
}

// tellSlow tells in the import's status that a step takes long, unless the step is over
// by then. The problem goes once the import gets on. Stop it once.
func (d *driver) tellSlow(ctx context.Context, step, store string) (stop func() bool) {
	id, text := d.id, slowly(step, store)
	return time.AfterFunc(d.slow[step], func() {
		_, err := d.cfg.Imports.Apply(ctx, id, func(r imports.Record) (imports.Record, error) { return r.Report(text) })
		if err != nil {
			d.cfg.Log.Debug("tell of an import's problem", "import_id", id, "err", err)
		}
	}).Stop
}
