package queue

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// talkPrefix leads the subjects on which processes talk. Nothing of it is stored.
const talkPrefix = "talk."

// Tell sends data to all processes that hear the topic, a subject of its own,
// right now. It may be lost.
func (q *Queue) Tell(topic string, data []byte) error {
	if err := q.nc.Publish(talkPrefix+topic, data); err != nil {
		return fmt.Errorf("tell %s: %w", topic, err)
	}
	return nil
}

// Hear calls f with what is told on the topic, by this process too, until ctx
// ends. f is called by one goroutine at a time, and must not keep data.
func (q *Queue) Hear(ctx context.Context, topic string, f func(data []byte)) error {
	sub, err := q.nc.Subscribe(talkPrefix+topic, func(m *nats.Msg) { f(m.Data) })
	if err != nil {
		return fmt.Errorf("hear %s: %w", topic, err)
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return nil
}
