package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// While NATS is silent, who is impatient is told so sooner than others.
func TestSilentNATS(t *testing.T) {
	for name, tc := range map[string]struct {
		patience, want time.Duration
		call           func(context.Context, queue.KV) error
	}{
		"a write": {10 * time.Second, 10 * time.Second, func(ctx context.Context, kv queue.KV) error {
			_, err := kv.Create(ctx, "key", nil)
			return err
		}},
		"a read": {10 * time.Second, 10 * time.Second, func(ctx context.Context, kv queue.KV) error {
			_, _, err := kv.Get(ctx, "key")
			return err
		}},
		"more patience than there is": {time.Hour, queue.DefaultTimeout, func(ctx context.Context, kv queue.KV) error {
			_, err := kv.Keys(ctx, "")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := queue.Connect(t.Context(), queue.Config{InProcess: queuetest.Mute{}, Log: slog.New(slog.DiscardHandler)})
				expect.NoError(t, err)
				defer q.Close()
				expect.NoError(t, q.Err())
				begun := time.Now()
				err = tc.call(queue.Within(t.Context(), tc.patience), q.KV(queue.BucketCatalog))
				if took := time.Since(begun); !errors.Is(err, queue.ErrSilent) || took != tc.want {
					t.Errorf("%v after %v, want ErrSilent after %v", err, took, tc.want)
				}
				if err := q.Err(); !errors.Is(err, queue.ErrSilent) {
					t.Errorf("the queue is %v", err)
				}
			})
		})
	}
}
