package coordinator

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/pkg/gossip"
)

// reportedFor is how long a worker's report of a problem counts: longer than it usually
// takes until the next worker has tried the partition, and reports again.
const reportedFor = 3 * time.Minute

// problemReports are the reports of workers about partitions that make no progress: at most
// one for each import. Its methods may be called concurrently. The zero value has none.
type problemReports struct {
	mu       sync.Mutex
	byImport map[string]problemReport
}

type problemReport struct {
	gossip.Problem
	at time.Time
}

// note records a worker's report. The first partition of an import with a problem
// counts until its problem is over, so that the import's problem does not change with
// each report on one of many partitions.
func (p *problemReports) note(report gossip.Problem, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.byImport, func(_ string, r problemReport) bool { return now.Sub(r.at) >= reportedFor })
	if first, ok := p.byImport[report.ImportID]; ok && first.PartitionID != report.PartitionID {
		return
	}
	if report.Text == "" {
		delete(p.byImport, report.ImportID)
		return
	}
	if p.byImport == nil {
		p.byImport = make(map[string]problemReport)
	}
	p.byImport[report.ImportID] = problemReport{report, now}
}

// current returns the problem of an import, if its partition is among those outstanding,
// or "".
func (p *problemReports) current(importID string, outstanding []string, now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.byImport[importID]
	if !ok || now.Sub(r.at) >= reportedFor || !slices.Contains(outstanding, r.PartitionID) {
		return ""
	}
	return r.Text
}
