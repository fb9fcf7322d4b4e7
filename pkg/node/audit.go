package node

import (
	"context"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/audit"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// startAudit opens the audit log that the settings ask for, and writes it until end is called,
// which returns once all is written. The log is nil if there is none.
func (b *base) startAudit(ctx context.Context) (log *audit.Log, end func(), err error) {
	path := b.Settings.Audit.Path()
	if path == "" && (b.Stderr == nil || !b.Settings.Audit.Stderr(isTerminal(b.Stderr))) {
		return nil, func() {}, nil
	}
	if log, err = audit.Open(path, b.Stderr, b.Log, b.metrics); err != nil {
		return nil, nil, err
	}
	if path != "" {
		onHangup(ctx, log.Reopen)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var run sync.WaitGroup
	run.Go(func() { log.Run(running) })
	return log, func() { stop(); run.Wait() }, nil
}

// refusals returns what records imports that are not committed as whoever started them may not
// import any more.
func refusals(log *audit.Log) func(imports.Record, error) {
	return func(r imports.Record, why error) {
		about := access.Request{Repository: r.Request.Repository, Branch: r.Request.Branch}
		if paths, err := coordinator.SourcesOf(r.Job.Paths); err == nil {
			about.Paths = paths
		}
		by := r.Request.StartedBy()
		e := audit.Event{
			Time: time.Now(), Operation: audit.OperationCommit, User: by.User, Credential: audit.CredentialOf(by.Credential),
			Resources: audit.ResourcesOf(about), Outcome: audit.Denied, Reason: why.Error(),
		}
		e.Import = r.Job.ImportID
		log.Record(e)
	}
}
