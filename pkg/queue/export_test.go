package queue

import "context"

// LoadNow is the load that an Outlook learns when it asks.
func (q *Queue) LoadNow(ctx context.Context) (Load, error) { return q.load(ctx) }
