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
	if lacksServers(err) {
		return fmt.Errorf("make stream %s: nats.replicas is %d, and NATS has not as many servers that are up: %w", cfg.Name, cfg.Replicas, err)
	} else if err != nil {
		return fmt.Errorf("make stream %s: %w", cfg.Name, err)
	}
	return nil
}

// lacksServers reports whether a stream is to have more copies than there are servers.
func lacksServers(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == noPeers || api.ErrorCode == notClustered)
}

// takeOver returns how many copies of each stream there are to be: never fewer than
// there are. It is ErrProtocol if this process must not take the streams over: they
// have a newer version, or an older one and hold messages.
func takeOver(ctx context.Context, c *Conn, streams []jetstream.StreamConfig) (copies int, err error) {
	copies = c.cfg.Replicas
	for _, cfg := range streams {
		if cfg.Metadata[metadataProtocol] == "" {
			continue // what it holds outlives the protocol
		}
		info, err := existing(ctx, c, cfg.Name)
		if err != nil {
			return 0, fmt.Errorf("look at stream %s: %w", cfg.Name, err)
		}
		if info == nil {
			continue
		}
		copies = max(copies, info.Config.Replicas)
		theirs, _ := strconv.Atoi(info.Config.Metadata[metadataProtocol]) // what is no number is refused below
		if theirs < c.cfg.Protocol && info.State.Msgs == 0 {
			continue
		}
		if err := c.CheckStream(info); err != nil {
			return 0, err
		}
	}
	if copies > c.cfg.Replicas {
		c.cfg.Log.Warn("nats.replicas is less than the copies that the fleet has: they are kept", "copies", copies, "setting", c.cfg.Replicas)
	}
	return copies, nil
}

// existing returns the state of a stream, or nil if it does not exist.
func existing(ctx context.Context, c *Conn, name string) (info *jetstream.StreamInfo, err error) {
	err = c.Retry(ctx, "ensure", func(ctx context.Context) error {
		stream, err := c.JetStream.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		if err == nil {
			info = stream.CachedInfo()
		}
		return err
	})
	return info, err
}
