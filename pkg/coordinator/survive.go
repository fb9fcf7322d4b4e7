package coordinator

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/pkg/imports"
)

// noteWait is how long at most a driver tries to note that a step is over.
const noteWait = 5 * time.Second

// survive runs a step that may take more memory than there is. Before it, the
// record says that it is begun: a process that ends leaves that behind, and after
// imports.MaxBegun of them the import fails instead of taking the next one along.
// What comes of the step, recorded or an error, takes it back.
//
// Steps of several imports run at a time, and a process that ends leaves all of them
// begun. Those are taken one after the other then, so that only the one that ended it
// does so again.
func (d *driver) survive(ctx context.Context, step func() error) error {
	record, err := d.cfg.Imports.Get(ctx, d.id)
	if err != nil {
		return err
	}
	begin := imports.Record.Begin
	if d.survived { // this process did; it could not note that
		begin = imports.Record.BeginAgain
	} else if record.Begun > 0 {
		done, err := d.suspects.take(ctx, "")
		if err != nil {
			return err
		}
		defer done()
	}
	if _, err := d.cfg.Imports.Apply(ctx, d.id, begin); err != nil {
		return err
	}
	err = step()
	d.survived = true
	if err != nil {
		d.noteSurvived(ctx)
		return err
	}
	return nil
}

// noteSurvived notes that a step is over of which nothing came, also if the process
// is told to end.
func (d *driver) noteSurvived(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWait)
	defer cancel()
	if _, err := d.cfg.Imports.Apply(ctx, d.id, imports.Record.Survive); err != nil {
		d.cfg.Log.Debug("note that a step is over", "import_id", d.id, "err", err)
	}
}
