package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/pkg/partition"
)

// PublishCover stores a cover that a worker of the partition found. It returns
// once it is durable, and may store it twice.
func (q *Queue) PublishCover(ctx context.Context, importID, partitionID string, c partition.Cover) error {
	if err := checkTokens(importID, partitionID); err != nil {
		return fmt.Errorf("publish a cover: %w", err)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode a cover of partition %s: %w", partitionID, err)
	}
	err = q.retry(ctx, "cover", func(ctx context.Context) error {
		_, err := q.js.PublishMsg(ctx, &nats.Msg{Subject: coversPrefix + importID + "." + partitionID, Header: q.header(), Data: data})
		return err
	})
	if err != nil {
		return fmt.Errorf("publish a cover of partition %s of import %s: %w", partitionID, importID, err)
	}
	q.metrics.published.WithLabelValues("cover").Inc()
	return nil
}

// LastCover returns the cover of a partition that was stored last, and whether
// there is any.
func (q *Queue) LastCover(ctx context.Context, importID, partitionID string) (partition.Cover, bool, error) {
	if err := checkTokens(importID, partitionID); err != nil {
		return partition.Cover{}, false, fmt.Errorf("read a cover: %w", err)
	}
	c, err := readLast[partition.Cover](ctx, q, coversStream, coversPrefix+importID+"."+partitionID)
	if errors.Is(err, ErrNotFound) {
		return partition.Cover{}, false, nil
	}
	if err != nil {
		return partition.Cover{}, false, fmt.Errorf("read the last cover of partition %s: %w", partitionID, err)
	}
	return c, true, nil
}

// CoverCount returns how many covers of an import are stored. A follower that
// got fewer has some before it yet.
func (q *Queue) CoverCount(ctx context.Context, importID string) (uint64, error) {
	if err := checkTokens(importID); err != nil {
		return 0, fmt.Errorf("count covers: %w", err)
	}
	subjects, err := q.subjects(ctx, coversStream, coversPrefix+importID+".*")
	if err != nil {
		return 0, fmt.Errorf("count covers of import %s: %w", importID, err)
	}
	var n uint64
	for _, messages := range subjects {
		n += messages
	}
	return n, nil
}

// FollowCovers calls f with each cover of an import, from the first one, in the
// order in which they were stored, and exactly once each; then with new ones as
// they come, until ctx ends. It outlives restarts of NATS, and always returns an
// error: that of ctx, or why it cannot go on, such as ErrProtocol, or that NATS has lost
// covers that f was called with, as far as a Survey of this queue shows it; who goes on
// then follows them from the first one again. f is called by one goroutine at a time, and
// covers wait while it runs.
func (q *Queue) FollowCovers(ctx context.Context, importID string, f func(partition.Cover)) error {
	if err := checkTokens(importID); err != nil {
		return fmt.Errorf("follow covers: %w", err)
	}
	err := q.followCovers(ctx, coversPrefix+importID+".*", f)
	return fmt.Errorf("follow covers of import %s: %w", importID, err)
}
