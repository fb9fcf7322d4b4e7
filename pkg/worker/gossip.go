package worker

import (
	"context"
	"log/slog"

	"github.com/rangefleet/rangefleet/pkg/gossip"
)

// workerGossip is how workers tell each other what they know. No message is stored, and any
// may be lost.
type workerGossip struct {
	gossip *gossip.Gossip
	log    *slog.Logger
}

// broadcast sends a message to all workers, this one included.
func (g workerGossip) broadcast(topic string, message any) {
	if err := g.gossip.Broadcast(topic, message); err != nil {
		g.log.Debug("broadcast to workers", "topic", topic, "err", err)
	}
}

// listen calls the receivers with the messages of their topics until ctx ends.
func (g workerGossip) listen(ctx context.Context, receivers map[string]func(data []byte)) error {
	for topic, receive := range receivers {
		if err := g.gossip.Listen(ctx, topic, receive); err != nil {
			return err
		}
	}
	return nil
}

// chance draws a random number in [0, 1).
type chance func() float64

// elects reports, at random, whether this process acts: about n of the workers of the
// running partitions do, and each decides for itself.
func (c chance) elects(n, running int) bool { return c()*float64(running) < float64(n) }
