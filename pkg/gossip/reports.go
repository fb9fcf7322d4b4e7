package gossip

import (
	"context"
	"encoding/json"

	"github.com/rangefleet/rangefleet/pkg/progress"
)

// topicReports is where workers broadcast how far they are.
const topicReports = "listed"

// BroadcastReport sends a report to all coordinators. It may be lost.
func (g *Gossip) BroadcastReport(r progress.Report) error { return g.Broadcast(topicReports, r) }

// ListenReports calls f with the reports that workers broadcast until ctx ends, by one goroutine
// at a time. Reports that cannot be right are dropped.
func (g *Gossip) ListenReports(ctx context.Context, f func(progress.Report)) error {
	return g.Listen(ctx, topicReports, func(data []byte) {
		var r progress.Report
		if json.Unmarshal(data, &r) == nil && r.Check() == nil { // else from another version, perhaps
			f(r)
		}
	})
}

// topicSteps is where coordinators broadcast that they get on with imports of which nothing is
// listed.
const topicSteps = "steps"

// BroadcastSteps sends the steps of imports to all coordinators. It may be lost.
func (g *Gossip) BroadcastSteps(steps []progress.Step) error { return g.Broadcast(topicSteps, steps) }

// ListenSteps calls f with each step that coordinators broadcast until ctx ends, by one goroutine
// at a time.
func (g *Gossip) ListenSteps(ctx context.Context, f func(progress.Step)) error {
	return g.Listen(ctx, topicSteps, func(data []byte) {
		var steps []progress.Step
		if json.Unmarshal(data, &steps) != nil {
			return // from another version, perhaps
		}
		for _, s := range steps {
			f(s)
		}
	})
}
