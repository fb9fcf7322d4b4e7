package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// work does one delivery of a partition: whatever the partition's last cover
// left to do. It ends early with errOver once the import has ended, and with
// errLost when the queue may have delivered the partition to somebody else.
func (w *Worker) work(ctx context.Context, task *queue.Task) error {
	record, err := w.cfg.Imports.Get(ctx, task.Partition.ImportID)
	if fault.Is(err, fault.NotFound) || err == nil && record.State != imports.Running {
		return errOver
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	guarded := make(chan struct{})
	go func() {
		defer close(guarded)
		w.guard(ctx, task, stop)
	}()
	err = w.list(ctx, task, record.Job)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-guarded
	return err
}

// list lists the partition and writes its ranges.
func (w *Worker) list(ctx context.Context, task *queue.Task, job imports.Job) error {
	p := task.Partition
	last, found, err := w.cfg.Queue.LastCover(ctx, p.ImportID, p.ID)
	if err != nil {
		return err
	}
	if found {
		var left bool
		if p, left = p.Resume(last, job.Breaks); !left {
			return nil
		}
	}
	src, err := source.Open(ctx, w.cfg.Stores, job.Paths)
	if err != nil {
		return err
	}
	files, err := w.files(ctx, job)
	if err != nil {
		return err
	}
	return newLister(w, p, job, src, files, last.Cut).run(ctx)
}

// files opens the storage namespace of the import.
func (w *Worker) files(ctx context.Context, job imports.Job) (*namespace.Files, error) {
	uri, err := objectstore.ParseURI(job.Namespace)
	if err != nil {
		return nil, fmt.Errorf("storage namespace: %w: %w", objectstore.ErrRefused, err)
	}
	store, err := w.cfg.Stores.Open(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("open the storage namespace %s: %w", job.Namespace, err)
	}
	return namespace.New(store, uri), nil
}

// guard keeps the delivery alive with heartbeats, and stops it when the import
// ends or no heartbeat was confirmed for most of the time after which the queue
// delivers the partition again. It returns when ctx ends.
func (w *Worker) guard(ctx context.Context, task *queue.Task, stop context.CancelCauseFunc) {
	heartbeat := time.NewTicker(task.AckWait / 4)
	defer heartbeat.Stop()
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	changed, err := w.cfg.Imports.Watch(ctx, task.Partition.ImportID)
	if err != nil {
		w.cfg.Log.Debug("watch an import", "import_id", task.Partition.ImportID, "err", err)
	}
	confirmed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
			begun := time.Now()
			if err := task.Extend(); err == nil {
				confirmed = begun
			}
		case _, open := <-changed:
			if !open {
				changed = nil
			}
			w.stopIfOver(ctx, task, stop)
		case <-look.C:
			w.stopIfOver(ctx, task, stop)
		}
		if time.Since(confirmed) > task.AckWait*7/10 {
			stop(errLost)
		}
	}
}

// stopIfOver stops a delivery whose import has ended. Where its state cannot be
// read, the delivery goes on: what it does is harmless.
func (w *Worker) stopIfOver(ctx context.Context, task *queue.Task, stop context.CancelCauseFunc) {
	ctx, cancel := context.WithTimeout(ctx, task.AckWait/4)
	defer cancel()
	record, err := w.cfg.Imports.Get(ctx, task.Partition.ImportID)
	if fault.Is(err, fault.NotFound) || err == nil && record.State != imports.Running {
		stop(errOver)
	} else if err != nil && !errors.Is(err, context.Canceled) {
		w.cfg.Log.Debug("look at an import", "import_id", task.Partition.ImportID, "err", err)
	}
}
