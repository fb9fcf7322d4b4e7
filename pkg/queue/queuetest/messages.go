package queuetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// Partition returns a partition whose span has unusual bytes.
func Partition(importID, id string) partition.Partition {
	return partition.Partition{
		ID: id, ImportID: importID, Aligned: true,
		Span: partition.Span{After: "a\x01\"<é𝄞" + id, Upto: strings.Repeat("\x02", 1024)},
	}
}

// Publish queues partitions in the bulk lane.
func Publish(t testing.TB, b *backend.Backend, parts ...partition.Partition) {
	t.Helper()
	for _, p := range parts {
		if err := b.Queue.Publish(t.Context(), queue.Bulk, p); err != nil {
			t.Fatal(err)
		}
	}
}

// Pull returns the next partition of the bulk lane.
func Pull(t testing.TB, b *backend.Backend) *queue.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	task, err := b.Queue.Puller(queue.Bulk).Pull(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// Cover returns the i-th of a sequence of adjacent covers.
func Cover(i int) partition.Cover {
	key := func(i int) string { return fmt.Sprintf("k/é\"<%04d", i) }
	return partition.Cover{
		Span:  partition.Span{After: key(i), Upto: key(i + 1)},
		Range: &partition.RangeMetadata{ID: fmt.Sprint(i), MinKey: key(i) + "0", MaxKey: key(i + 1), Count: int64(i), EstimatedSize: 1 << 60},
	}
}

// SameCover reports whether two covers of Cover are equal.
func SameCover(a, b partition.Cover) bool { return a.Span == b.Span && *a.Range == *b.Range }
