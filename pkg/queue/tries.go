package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Tries is what is noted of a partition that was delivered more than once, or cut.
type Tries struct {
	Count int    `json:"count"` // deliveries in a row that got no further than At
	At    string `json:"at"`    // where its last cover ended then, "" before the first one

	Refused []string `json:"refused,omitempty"` // the workers to which a store refused the keys that follow At, one a time

	Waited time.Duration `json:"waited,omitempty"` // nanoseconds for which deliveries in a row waited in vain after At, and gave way to others
	For    string        `json:"for,omitempty"`    // the store that the last of them waited for

	Cut string `json:"cut,omitempty"` // where the partition ends since it was cut, as that of a Cover, which may come later
}

// Tries returns what was noted last of a partition, and whether anything was.
func (q *Queue) Tries(ctx context.Context, importID, partitionID string) (t Tries, found bool, err error) {
	if err := checkTokens(importID, partitionID); err != nil {
		return Tries{}, false, fmt.Errorf("read the tries of a partition: %w", err)
	}
	t, err = readLast[Tries](ctx, q, coversStream, triesPrefix+importID+"."+partitionID)
	if errors.Is(err, ErrNotFound) {
		return Tries{}, false, nil
	}
	if err != nil {
		return Tries{}, false, fmt.Errorf("read the tries of partition %s: %w", partitionID, err)
	}
	return t, true, nil
}

// NoteTries notes something of a partition, in place of what was noted before.
func (q *Queue) NoteTries(ctx context.Context, importID, partitionID string, t Tries) error {
	if err := checkTokens(importID, partitionID); err != nil {
		return fmt.Errorf("note the tries of a partition: %w", err)
	}
	data, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encode the tries of partition %s: %w", partitionID, err)
	}
	err = q.retry(ctx, "write", func(ctx context.Context) error {
		_, err := q.js.PublishMsg(ctx, &nats.Msg{Subject: triesPrefix + importID + "." + partitionID, Header: q.header(), Data: data})
		return err
	})
	if err != nil {
		return fmt.Errorf("note the tries of partition %s: %w", partitionID, err)
	}
	q.metrics.published.WithLabelValues("note").Inc()
	return nil
}
