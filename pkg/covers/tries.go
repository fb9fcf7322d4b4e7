package covers

import (
	"context"
	"fmt"
	"time"
)

// Tries is the note of a partition that was delivered more than once, or cut.
type Tries struct {
	Count int    `json:"count"` // deliveries in a row that got no further than At
	At    string `json:"at"`    // where its last cover ended then, "" before the first one

	Refused []string `json:"refused,omitempty"` // workers that a store refused the keys after At to, one entry per refusal

	Waited time.Duration `json:"waited,omitempty"` // nanoseconds for which deliveries in a row waited in vain after At, and gave way to others
	For    string        `json:"for,omitempty"`    // the store that the last of them waited for

	Cut string `json:"cut,omitempty"` // where the partition was cut, "" if it was not. Covers carry it too (Cover.Cut), but may be stored later
}

// Tries returns the last note of a partition, and whether there is any.
func (l *Log) Tries(ctx context.Context, importID, partitionID string) (t Tries, found bool, err error) {
	return last[Tries](ctx, l, "note", triesPrefix, importID, partitionID)
}

// NoteTries stores a note of a partition, which replaces the one before.
func (l *Log) NoteTries(ctx context.Context, importID, partitionID string, t Tries) error {
	if err := l.publish(ctx, "write", triesPrefix, importID, partitionID, t); err != nil {
		return fmt.Errorf("note the tries of partition %s: %w", partitionID, err)
	}
	l.conn.CountPublished("note")
	return nil
}
