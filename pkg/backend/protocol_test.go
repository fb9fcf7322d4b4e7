package backend_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// other returns the backend of a process of another version, which has not called Ensure.
func other(t *testing.T, server *natsd.Server, protocol int) *backend.Backend {
	t.Helper()
	q, err := backend.Connect(t.Context(), natsconn.Config{InProcess: server, Protocol: protocol, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}, backend.Options{})
	expect.NoError(t, err)
	t.Cleanup(q.Close)
	return q
}

func refused(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, natsconn.ErrProtocol) {
		t.Fatalf("%s: %v, want it refused", what, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}

func TestMessagesOfAnotherVersionAreRefusedAndKept(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	newer := other(t, server, natsconn.Protocol+1)
	ctx := t.Context()

	p := part("imp", "a")
	publish(t, newer, p)
	_, err := q.Queue.Puller(queue.Bulk).Pull(ctx)
	refused(t, "a newer partition", err, "w.bulk.imp.a", fmt.Sprintf("version %d", natsconn.Protocol+1), fmt.Sprintf("speaks %d", natsconn.Protocol), "older one: upgrade it")
	if got := outstandingIDs(t, newer); len(got) != 1 {
		t.Errorf("%v are left of the partition that was refused", got)
	}

	expect.NoError(t, newer.Covers.Publish(ctx, "imp", "a", cover(1)))
	refused(t, "following newer covers", q.Covers.Follow(ctx, "imp", func(c partition.Cover) { t.Errorf("followed %v", c) }), "cover 1")
	_, _, err = q.Covers.Last(ctx, "imp", "a")
	refused(t, "the last cover", err, "c.imp.a")

	if _, err := newer.Bucket(kv.BucketImports).Create(ctx, "i.imp", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	_, _, err = q.Bucket(kv.BucketImports).Get(ctx, "i.imp")
	refused(t, "a newer record", err, "imports/i.imp")
	if _, err := newer.Bucket(kv.BucketCatalog).Create(ctx, "r", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.Bucket(kv.BucketCatalog).Get(ctx, "r"); err != nil {
		t.Errorf("the catalog outlives versions: %v", err)
	}
}

func outstandingIDs(t *testing.T, q *backend.Backend) []string {
	t.Helper()
	s, err := q.Survey(t.Context())
	expect.NoError(t, err)
	return s.Partitions["imp"]
}

// TestTheQueueIsOfOneVersion has processes of three versions use a queue.
func TestTheQueueIsOfOneVersion(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	second := queuetest.Connect(t, natsconn.Config{InProcess: server, Protocol: 2})
	first, third := other(t, server, 1), other(t, server, 3)
	ctx := t.Context()
	refused(t, "an older coordinator", first.Ensure(ctx), "queue", "upgrade it")
	_, err := first.Queue.Puller(queue.Bulk).Pull(ctx)
	refused(t, "an older worker", err, "upgrade it")
	_, err = third.Queue.Puller(queue.Bulk).Pull(ctx)
	refused(t, "a newer worker", err, "newer one: let what runs end")

	publish(t, second, part("imp", "a"))
	refused(t, "a newer coordinator while work is queued", third.Ensure(ctx), "newer one")
	task := pull(t, second)
	expect.NoError(t, second.Covers.Publish(ctx, "imp", "a", cover(1)))
	expect.NoError(t, task.Ack(ctx))
	refused(t, "a newer coordinator while an import runs", third.Ensure(ctx), "newer one")
	expect.NoError(t, second.Discard(ctx, "imp"))
	if err := third.Ensure(ctx); err != nil {
		t.Errorf("a newer coordinator when nothing runs: %v", err)
	}
	_, err = second.Queue.Puller(queue.Express).Pull(ctx)
	refused(t, "a worker that was there before", err, "older one: upgrade it")
}
