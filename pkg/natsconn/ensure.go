package natsconn

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// Ensure creates the streams, or updates them to their configuration, which says
// nothing of replicas. It is idempotent. It is ErrProtocol where a fleet of another
// version is at work in one of them.
func (c *Conn) Ensure(ctx context.Context, streams ...jetstream.StreamConfig) error {
	copies, err := takeOver(ctx, c, streams)
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("make the queue: NATS does not answer for JetStream, which has to be switched on there, and in a cluster by most of its servers: %w", err)
	} else if err != nil {
		return fmt.Errorf("make the queue: %w", err)
	}
	g, making := errgroup.WithContext(ctx) // at the same time: a cluster may take an election, of seconds, for each
	for _, cfg := range streams {
		cfg.Replicas = copies
		g.Go(func() error { return ensureStream(making, c, cfg) })
	}
	return g.Wait()
}

func ensureStream(ctx context.Context, c *Conn, cfg jetstream.StreamConfig) error {
	err := c.Retry(ctx, "ensure", func(ctx context.Context) error {
		_, err := c.JetStream.CreateOrUpdateStream(ctx, cfg)
		return err
	})
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == noPeers || refused.ErrorCode == notClustered) {
		return fmt.Errorf("make stream %s: nats.replicas is %d, and NATS has not as many servers that are up: %w", cfg.Name, cfg.Replicas, err)
	} else if err != nil {
		return fmt.Errorf("make stream %s: %w", cfg.Name, err)
	}
	return nil
}

// takeOver returns how many copies of each stream there are to be: never fewer than
// there are. It is ErrProtocol if this process must not take the streams over.
func takeOver(ctx context.Context, c *Conn, streams []jetstream.StreamConfig) (copies int, err error) {
	copies = c.cfg.Replicas
	for _, cfg := range streams {
		if cfg.Metadata[metadataProtocol] == "" {
			continue // what it holds outlives the protocol
		}
		there, err := copiesOf(ctx, c, cfg.Name)
		if err != nil {
			return 0, fmt.Errorf("look at stream %s: %w", cfg.Name, err)
		}
		copies = max(copies, there)
	}
	if copies > c.cfg.Replicas {
		c.cfg.Log.WarnContext(ctx, "nats.replicas is less than the copies that the fleet has: they are kept", "copies", copies, "setting", c.cfg.Replicas)
	}
	return copies, nil
}

// copiesOf returns how many copies of a stream there are, 0 if it does not exist. It is
// ErrProtocol if the stream has a newer version, or an older one and holds messages.
func copiesOf(ctx context.Context, c *Conn, name string) (copies int, err error) {
	err = c.Retry(ctx, "ensure", func(ctx context.Context) error {
		stream, err := c.JetStream.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		info := stream.CachedInfo()
		copies = info.Config.Replicas
		theirs, _ := strconv.Atoi(info.Config.Metadata[metadataProtocol]) // what is no number is refused below
		if theirs < c.cfg.Protocol && info.State.Msgs == 0 {
			return nil
		}
		return c.CheckStream(info)
	})
	return copies, err
}
