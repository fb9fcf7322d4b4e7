package gossip

import (
	"context"
	"encoding/json"
	"strings"
)

// topicProblems is where workers broadcast problems. On the wire it is "trouble".
const topicProblems = "trouble"

// maxProblem is how many bytes of a text are broadcast.
const maxProblem = 1000

// Problem is why a partition makes no progress: the error of a worker that gives it
// back to be tried again.
type Problem struct {
	ImportID    string `json:"import"`
	PartitionID string `json:"partition"`
	Text        string `json:"text"` // "": it makes progress again
}

// BroadcastProblem sends a problem to all coordinators. It may be lost.
func (g *Gossip) BroadcastProblem(p Problem) error {
	if len(p.Text) > maxProblem {
		p.Text = strings.ToValidUTF8(p.Text[:maxProblem], "") + "…"
	}
	return g.Broadcast(topicProblems, p)
}

// ListenProblems calls f with the problems that workers broadcast until ctx ends, by one
// goroutine at a time.
func (g *Gossip) ListenProblems(ctx context.Context, f func(Problem)) error {
	return g.Listen(ctx, topicProblems, func(data []byte) {
		var p Problem
		if json.Unmarshal(data, &p) == nil { // else from another version, perhaps
			f(p)
		}
	})
}
