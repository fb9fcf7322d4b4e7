package queue

import "context"

// LoadNow is the load that a LoadWatch receives when it asks.
func (q *Queue) LoadNow(ctx context.Context) (LaneLoad, error) { return q.laneLoad(ctx) }
