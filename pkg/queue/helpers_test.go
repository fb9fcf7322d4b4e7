package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

func part(importID, id string) partition.Partition {
	return partition.Partition{
		ID: id, ImportID: importID, Aligned: true,
		Span: partition.Span{After: "a\x01\"<é𝄞" + id, Upto: strings.Repeat("\x02", 1024)},
	}
}

func publish(t *testing.T, q *queue.Queue, parts ...partition.Partition) {
	t.Helper()
	for _, p := range parts {
		if err := q.Publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
}

func pull(t *testing.T, q *queue.Queue) *queue.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	task, err := q.Puller(queue.Bulk).Pull(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func cover(i int) partition.Cover {
	key := func(i int) string { return fmt.Sprintf("k/é\"<%04d", i) }
	return partition.Cover{
		Span:  partition.Span{After: key(i), Upto: key(i + 1)},
		Range: &partition.RangeMetadata{ID: fmt.Sprint(i), MinKey: key(i) + "0", MaxKey: key(i + 1), Count: int64(i), EstimatedSize: 1 << 60},
	}
}

func same(a, b partition.Cover) bool { return a.Span == b.Span && *a.Range == *b.Range }
