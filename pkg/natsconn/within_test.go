package natsconn_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// While NATS does not respond, calls with less patience end sooner.
func TestUnresponsiveNATS(t *testing.T) {
	for name, tc := range map[string]struct {
		patience, want time.Duration
		call           func(context.Context, kv.Bucket) error
	}{
		"a write": {10 * time.Second, 10 * time.Second, func(ctx context.Context, bucket kv.Bucket) error {
			_, err := bucket.Create(ctx, "key", nil)
			return err
		}},
		"a read": {10 * time.Second, 10 * time.Second, func(ctx context.Context, bucket kv.Bucket) error {
			_, _, err := bucket.Get(ctx, "key")
			return err
		}},
		"more patience than there is": {time.Hour, 30 * time.Second, func(ctx context.Context, bucket kv.Bucket) error {
			_, err := bucket.Keys(ctx, "")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: queuetest.Mute{}, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
				expect.NoError(t, err)
				defer q.Close()
				expect.NoError(t, q.Conn.Err())
				begun := time.Now()
				err = tc.call(t.Context(), q.Within(tc.patience).Bucket(kv.BucketCatalog))
				if took := time.Since(begun); !errors.Is(err, natsconn.ErrUnresponsive) || took != tc.want {
					t.Errorf("%v after %v, want ErrUnresponsive after %v", err, took, tc.want)
				}
				if err := q.Conn.Err(); !errors.Is(err, natsconn.ErrUnresponsive) {
					t.Errorf("Err: %v, want ErrUnresponsive", err)
				}
			})
		})
	}
}
