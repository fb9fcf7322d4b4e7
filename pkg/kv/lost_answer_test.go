package kv_test

import (
	"errors"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestWriteWhoseAnswerIsLostIsNoConflict(t *testing.T) {
	q, loseAnswerTo := queuetest.StartLossy(t)
	bucket, ctx := q.Bucket(kv.BucketImports), t.Context()

	loseAnswerTo("Rangefleet-Nonce")
	first, err := bucket.Create(ctx, "key", []byte("1"))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	loseAnswerTo("Rangefleet-Nonce")
	second, err := bucket.Update(ctx, "key", []byte("2"), first)
	if err != nil || second != first+1 {
		t.Fatalf("Update = %d, %v, want %d: stored once", second, err, first+1)
	}
	if got, rev, err := bucket.Get(ctx, "key"); err != nil || string(got) != "2" || rev != second {
		t.Errorf("Get = %q, %d, %v", got, rev, err)
	}
	loseAnswerTo("Rangefleet-Nonce")
	if _, err := bucket.Update(ctx, "key", []byte("x"), first); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("Update at an old revision: %v, want ErrConflict", err)
	}
}

// The server that answers the next attempt may not have the write yet.
func TestWriteWhoseAnswerIsLostIsNoConflictToAServerThatIsBehind(t *testing.T) {
	past := &behind{InProcessConnProvider: queuetest.StartServer(t, natsd.Config{})}
	server := &queuetest.Lossy{InProcessConnProvider: past}
	bucket, ctx := queuetest.Connect(t, natsconn.Config{InProcess: server}).Bucket(kv.BucketAuth), t.Context()
	nonce := "Rangefleet-Nonce"
	lose := func() {
		server.Lose(nonce)
		past.messages.Store(1)
	}
	create(t, bucket, "kex", "of another key")
	lose()
	rev, err := bucket.Create(ctx, "key", []byte("value"))
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	lose()
	if rev, err = bucket.Update(ctx, "key", []byte("value"), rev); err != nil {
		t.Fatalf("Update: %v", err)
	}
	lose()
	if err := bucket.Delete(ctx, "key", rev); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if broke, left := server.Lost(), past.messages.Load(); broke != 3 || left > 0 {
		t.Errorf("%d answers were lost, and %d reads not made", broke, left)
	}
}
