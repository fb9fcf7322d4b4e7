// Package gossip broadcasts messages (fire-and-forget publish/subscribe) between the
// processes of a fleet, over NATS without JetStream: nothing is stored, and any message
// may be lost.
package gossip

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// subjectPrefix leads the subjects of topics.
const subjectPrefix = "talk."

// Gossip broadcasts and listens. Its methods may be called concurrently.
type Gossip struct{ conn *natsconn.Conn }

// New returns the gossip of the fleet.
func New(conn *natsconn.Conn) *Gossip { return &Gossip{conn} }

// Broadcast sends a message, as JSON, to all processes that listen to the topic, a subject
// of its own, right now. It may be lost.
func (g *Gossip) Broadcast(topic string, message any) error {
	data, err := json.Marshal(message)
	if err == nil {
		err = g.conn.NATS.Publish(subjectPrefix+topic, data)
	}
	if err != nil {
		return fmt.Errorf("broadcast %s: %w", topic, err)
	}
	return nil
}

// Listen calls f with the JSON that is broadcast on the topic, by this process too, until
// ctx ends. f is called by one goroutine at a time, and must not keep data.
func (g *Gossip) Listen(ctx context.Context, topic string, f func(data []byte)) error {
	sub, err := g.conn.NATS.Subscribe(subjectPrefix+topic, func(m *nats.Msg) { f(m.Data) })
	if err != nil {
		return fmt.Errorf("listen to %s: %w", topic, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return nil
}
