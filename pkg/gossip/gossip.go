// Package gossip broadcasts messages (fire-and-forget publish/subscribe) between the
// processes of a fleet, over NATS without JetStream: nothing is stored, and any message
// may be lost.
package gossip

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// Subjects are those of all topics. Unheard is one that no process listens to.
const (
	Subjects = natsconn.TalkPrefix + ">"
	Unheard  = natsconn.TalkPrefix + "unheard"
)

// Gossip broadcasts and listens. Its methods may be called concurrently.
type Gossip struct{ conn *natsconn.Conn }

// New returns the gossip of the fleet.
func New(conn *natsconn.Conn) *Gossip { return &Gossip{conn} }

// Broadcast sends a message, as JSON, to all processes that listen to the topic, a subject
// of its own, right now. It may be lost.
func (g *Gossip) Broadcast(topic string, message any) error {
	data, err := json.Marshal(message)
	if err == nil {
		err = g.conn.NATS.Publish(natsconn.TalkPrefix+topic, data)
	}
	if err != nil {
		return fmt.Errorf("broadcast %s: %w", topic, err)
	}
	return nil
}

// Listen calls f with the JSON that is broadcast on the topic, by this process too, until
// ctx ends. f is called by one goroutine at a time, and must not keep data.
func (g *Gossip) Listen(ctx context.Context, topic string, f func(data []byte)) error {
	prefixes := []string{natsconn.TalkPrefix}
	if g.conn.Role() == natsconn.Coordinator {
		prefixes = append(prefixes, natsconn.ToldPrefix) // of workers with an account of their own
	}
	var mu sync.Mutex
	one := func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		f(m.Data)
	}
	for _, prefix := range prefixes {
		sub, err := g.conn.NATS.Subscribe(prefix+topic, one)
		if err != nil {
			return fmt.Errorf("listen to %s: %w", topic, err)
		}
		context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	}
	return nil
}

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
