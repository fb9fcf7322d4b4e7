package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
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
	task, err := q.Pull(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func outstanding(t *testing.T, q *queue.Queue, importID string) []partition.Partition {
	t.Helper()
	got, err := q.Outstanding(t.Context(), importID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func TestPublishIsIdempotentWhileQueuedAndRunning(t *testing.T) {
	q := queuetest.Start(t)
	a, b := part("imp", "a"), part("imp", "b")
	publish(t, q, a, b, a, part("other", "a"), a)
	if got := outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{a, b}) {
		t.Fatalf("Outstanding = %+v", got)
	}
	task := pull(t, q)
	if task.Partition != a || task.Deliveries != 1 || task.AckWait != queue.DefaultAckWait {
		t.Fatalf("pulled %+v", task)
	}
	publish(t, q, a) // running
	if got := outstanding(t, q, "imp"); len(got) != 2 {
		t.Fatalf("Outstanding = %+v while one runs", got)
	}
	if err := task.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := outstanding(t, q, "imp"); !slices.Equal(got, []partition.Partition{b}) {
		t.Fatalf("Outstanding after Ack = %+v", got)
	}
	publish(t, q, a) // once it is done it may be queued anew
	if got := outstanding(t, q, "imp"); len(got) != 2 {
		t.Fatalf("Outstanding = %+v after publishing anew", got)
	}
}

func TestPartitionWithoutHeartbeatIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	reg := prometheus.NewRegistry()
	q := queuetest.Connect(t, queue.Config{
		InProcess: queuetest.StartServer(t, natsd.Config{}), AckWait: ackWait, Registerer: reg,
	})
	publish(t, q, part("imp", "a"))
	first := pull(t, q)

	again := make(chan *queue.Task, 1)
	go func() {
		task, err := q.Pull(t.Context())
		if err != nil {
			t.Error(err)
		}
		again <- task
	}()
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	var longest time.Duration // without a heartbeat
	for start, last := time.Now(), time.Now(); time.Since(start) < 2*ackWait; last = time.Now() {
		<-beat.C
		if err := first.Extend(); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(last))
	}
	var second *queue.Task
	select {
	case second = <-again:
		if longest < ackWait {
			t.Fatalf("delivered again in spite of heartbeats, %s apart at most", longest)
		}
	default:
		second = receive(t, again)
	}
	if second.Deliveries != 2 || second.Partition != first.Partition {
		t.Fatalf("second delivery: %+v", second)
	}
	if err := second.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Ack(t.Context()); err != nil {
		t.Errorf("late Ack: %v, want it harmless", err)
	}
	if got := counter(t, reg, "rangefleet_queue_redeliveries_total"); got != 1 {
		t.Errorf("redeliveries = %v, want 1", got)
	}
}

func counter(t *testing.T, reg prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestNakDeliversAfterDelay(t *testing.T) {
	q := queuetest.Start(t) // AckWait is far longer than this test
	publish(t, q, part("imp", "a"))
	start := time.Now()
	if err := pull(t, q).Nak(t.Context(), 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if task := pull(t, q); task.Deliveries != 2 || time.Since(start) < 200*time.Millisecond {
		t.Errorf("delivery %d after %s", task.Deliveries, time.Since(start))
	}
}

func TestTwoConsumersShareTheQueue(t *testing.T) {
	const n = 40
	server := queuetest.StartServer(t, natsd.Config{Listen: "127.0.0.1:0"})
	q := queuetest.Connect(t, queue.Config{InProcess: server})
	other := queuetest.Connect(t, queue.Config{URL: server.ClientURL(), Name: "worker @ 2"})
	for i := range n {
		publish(t, q, part("imp", fmt.Sprint(i)))
	}
	var (
		mu   sync.Mutex
		seen = map[string]int{}
		wg   sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, worker := range []*queue.Queue{q, other} {
		for range 2 {
			wg.Go(func() {
				for {
					task, err := worker.Pull(ctx)
					if err != nil {
						return
					}
					if err := task.Ack(ctx); err != nil {
						t.Error(err)
					}
					mu.Lock()
					if seen[task.Partition.ID]++; len(seen) == n {
						cancel()
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for id, times := range seen {
		if times != 1 {
			t.Errorf("partition %s delivered %d times", id, times)
		}
	}
	if got := outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding = %+v", got)
	}
}

func TestHungry(t *testing.T) {
	q := queuetest.Start(t)
	hungry := func() bool {
		l, err := q.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return l.Hungry()
	}
	if hungry() {
		t.Error("hungry while nobody waits")
	}
	publish(t, q, part("imp", "a"))
	running := pull(t, q)
	if hungry() {
		t.Error("hungry while nobody waits and one runs")
	}
	got := make(chan *queue.Task, 1)
	go func() {
		task, err := q.Pull(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- task
	}()
	eventually(t, "hungry while one waits", hungry)
	publish(t, q, part("imp", "b"))
	receive(t, got)
	eventually(t, "sated once it was served", func() bool { return !hungry() })
	_ = running
}

func TestPullEndsWithContext(t *testing.T) {
	q := queuetest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := q.Pull(ctx)
		ended <- err
	}()
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Pull: %v, want context.Canceled", err)
	}
}

func TestPullWaitsForCoordinator(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	worker, err := queue.Connect(t.Context(), queue.Config{InProcess: server, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	got := make(chan *queue.Task, 1)
	go func() {
		task, err := worker.Pull(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- task
	}()
	q := queuetest.Connect(t, queue.Config{InProcess: server})
	publish(t, q, part("imp", "a"))
	if task := receive(t, got); task.Partition.ID != "a" {
		t.Errorf("pulled %+v", task)
	}
}

func TestConnectEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	q, err := queue.Connect(ctx, queue.Config{URL: "nats://127.0.0.1:1", Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		q.Close()
		t.Fatal("connected to a closed port")
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect: %v, want context.DeadlineExceeded", err)
	}
}

func TestCallsAreBounded(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, queue.Config{InProcess: server, Timeout: 200 * time.Millisecond})
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	err := q.Publish(t.Context(), part("imp", "a"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "publish partition a of import imp") {
		t.Errorf("Publish without a server: %v", err)
	}
}

func TestBadIDsAreRefused(t *testing.T) {
	q := queuetest.Start(t)
	for _, id := range []string{"", "a.b", "*", ">", "a b"} {
		if err := q.Publish(t.Context(), part("imp", id)); err == nil {
			t.Errorf("published partition %q", id)
		}
		if err := q.PublishCover(t.Context(), id, "p", partition.Cover{}); err == nil {
			t.Errorf("published a cover of import %q", id)
		}
		if err := q.Discard(t.Context(), id); err == nil {
			t.Errorf("discarded import %q", id)
		}
	}
}

func TestDiscardRemovesOneImport(t *testing.T) {
	q := queuetest.Start(t)
	ctx := t.Context()
	for _, imp := range []string{"imp", "other"} {
		publish(t, q, part(imp, "a"), part(imp, "b"))
		if err := q.PublishCover(ctx, imp, "a", cover(1)); err != nil {
			t.Fatal(err)
		}
	}
	running := pull(t, q)
	if err := q.Discard(ctx, "imp"); err != nil {
		t.Fatal(err)
	}
	if got := outstanding(t, q, "imp"); len(got) != 0 {
		t.Errorf("Outstanding after Discard = %+v", got)
	}
	if n, err := q.CoverCount(ctx, "imp"); err != nil || n != 0 {
		t.Errorf("CoverCount after Discard = %d, %v", n, err)
	}
	if got := outstanding(t, q, "other"); len(got) != 2 {
		t.Errorf("Outstanding of the other import = %+v", got)
	}
	if n, err := q.CoverCount(ctx, "other"); err != nil || n != 1 {
		t.Errorf("CoverCount of the other import = %d, %v", n, err)
	}
	if err := running.Ack(ctx); err != nil {
		t.Errorf("Ack of a discarded partition: %v", err)
	}
	if task := pull(t, q); task.Partition.ImportID != "other" {
		t.Errorf("pulled %+v", task.Partition)
	}
}

func cover(i int) partition.Cover {
	key := func(i int) string { return fmt.Sprintf("k/é\"<%04d", i) }
	return partition.Cover{
		Span:  partition.Span{After: key(i), Upto: key(i + 1)},
		Range: &partition.RangeMetadata{ID: fmt.Sprint(i), MinKey: key(i) + "0", MaxKey: key(i + 1), Count: int64(i), EstimatedSize: 1 << 60},
	}
}

func same(a, b partition.Cover) bool { return a.Span == b.Span && *a.Range == *b.Range }

func TestFollowCoversInOrderAcrossServerRestarts(t *testing.T) {
	t.Parallel()
	const n, restarts = 60, 2
	dir := t.TempDir()
	server := queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	url := server.ClientURL()
	reader := queuetest.Connect(t, queue.Config{URL: url})
	writer := queuetest.Connect(t, queue.Config{URL: url})

	got := make(chan partition.Cover, 2*n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- reader.FollowCovers(ctx, "imp", func(c partition.Cover) { got <- c }) }()

	written := make(chan int, n)
	go func() {
		defer close(written)
		for i := range n {
			if err := writer.PublishCover(ctx, "imp", fmt.Sprint("p", i%3), cover(i)); err != nil {
				t.Error(err)
				return
			}
			if err := writer.PublishCover(ctx, "noise", "p", cover(i)); err != nil {
				t.Error(err)
				return
			}
			written <- i
		}
	}()
	next := 0
	take := func(upto int) {
		for next < upto {
			c := receive(t, got)
			// A cover whose answer was lost is stored twice, one after the other.
			if next > 0 && same(c, cover(next-1)) {
				continue
			}
			if !same(c, cover(next)) {
				t.Fatalf("cover %d: got %+v %+v", next, c, c.Range)
			}
			next++
		}
	}
	for r := range restarts {
		for i := range written {
			if i == (r+1)*n/(restarts+1) {
				break
			}
		}
		if err := server.Shutdown(); err != nil {
			t.Fatal(err)
		}
		server = queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: strings.TrimPrefix(url, "nats://")})
	}
	take(n)
	for range written { // the writer is done
	}

	last, ok, err := reader.LastCover(ctx, "imp", fmt.Sprint("p", (n-1)%3))
	if err != nil || !ok || !same(last, cover(n-1)) {
		t.Errorf("LastCover = %+v, %v, %v", last, ok, err)
	}
	if _, ok, err := reader.LastCover(ctx, "imp", "none"); err != nil || ok {
		t.Errorf("LastCover of an unknown partition = %v, %v", ok, err)
	}
	if count, err := reader.CoverCount(ctx, "imp"); err != nil || count < n {
		t.Errorf("CoverCount = %d, %v, want at least %d", count, err, n)
	}
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("FollowCovers: %v, want context.Canceled", err)
	}
}

func TestQueueSurvivesServerRestart(t *testing.T) {
	dir := t.TempDir()
	server := queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	url := server.ClientURL()
	q := queuetest.Connect(t, queue.Config{URL: url})
	publish(t, q, part("imp", "a"), part("imp", "b"))
	running := pull(t, q)
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	acked := make(chan error, 1)
	go func() { acked <- running.Ack(t.Context()) }() // starts while there is no server
	queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: strings.TrimPrefix(url, "nats://")})
	if err := receive(t, acked); err != nil {
		t.Fatal(err)
	}
	task := pull(t, q)
	if task.Partition.ID != "b" {
		t.Errorf("pulled %+v, want b", task.Partition)
	}
	if got := outstanding(t, q, "imp"); len(got) != 1 {
		t.Errorf("Outstanding = %+v", got)
	}
}

func TestLeaseExcludesRenewsAndReleases(t *testing.T) {
	t.Parallel()
	q := queuetest.Connect(t, queue.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), LeaseTTL: time.Second})
	ctx := t.Context()
	lease, err := q.Acquire(ctx, "import/x", "one")
	if err != nil {
		t.Fatal(err)
	}
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	for start := time.Now(); time.Since(start) < 2500*time.Millisecond; { // more than twice the time to live
		<-beat.C
		if _, err := q.Acquire(ctx, "import/x", "two"); !errors.Is(err, queue.ErrHeld) {
			t.Fatalf("second Acquire: %v, want ErrHeld", err)
		}
	}
	if other, err := q.Acquire(ctx, "import/y", "two"); err != nil {
		t.Errorf("Acquire of another name: %v", err)
	} else if err := other.Release(ctx); err != nil {
		t.Error(err)
	}
	select {
	case <-lease.Lost():
		t.Fatal("lost although it was renewed")
	default:
	}
	if err := lease.Release(ctx); err != nil {
		t.Fatal(err)
	}
	second, err := q.Acquire(ctx, "import/x", "two")
	if err != nil {
		t.Fatalf("Acquire after Release: %v", err)
	}
	if err := lease.Release(ctx); err != nil { // must not free what is not its own
		t.Fatal(err)
	}
	if _, err := q.Acquire(ctx, "import/x", "three"); !errors.Is(err, queue.ErrHeld) {
		t.Errorf("Acquire: %v, want ErrHeld", err)
	}
	if err := second.Release(ctx); err != nil {
		t.Error(err)
	}
}

func TestLeaseIsLostWithoutNATSAndExpires(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	url := server.ClientURL()
	q := queuetest.Connect(t, queue.Config{URL: url, LeaseTTL: 300 * time.Millisecond})
	lease, err := q.Acquire(t.Context(), "x", "one")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	receive(t, lease.Lost())
	queuetest.StartServer(t, natsd.Config{StoreDir: dir, Listen: strings.TrimPrefix(url, "nats://")})
	eventually(t, "the lease is free", func() bool {
		second, err := q.Acquire(t.Context(), "x", "two")
		if err != nil && !errors.Is(err, queue.ErrHeld) {
			t.Fatal(err)
		}
		if err == nil {
			_ = second.Release(t.Context())
		}
		return err == nil
	})
}

func TestSurvey(t *testing.T) {
	q := queuetest.Start(t)
	ctx := t.Context()
	publish(t, q, part("a", "1"), part("a", "2"), part("b", "3"))
	for range 3 {
		if err := q.PublishCover(ctx, "a", "1", partition.Cover{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.PublishCover(ctx, "c", "9", partition.Cover{}); err != nil {
		t.Fatal(err)
	}
	task := pull(t, q)
	if err := task.Nak(ctx, 0); err != nil {
		t.Fatal(err)
	}
	task = pull(t, q)
	s, err := q.Survey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if s.Queued+s.Running != 3 || s.Running < 1 || len(s.Partitions["a"]) != 2 || !slices.Equal(s.Partitions["b"], []string{"3"}) {
		t.Errorf("Survey = %+v", s)
	}
	if len(s.Covers) != 2 || s.Covers["a"] != 3 || s.Covers["c"] != 1 {
		t.Errorf("Survey's covers = %v", s.Covers)
	}
	parts, err := q.Partitions(ctx, task.Partition.ImportID, []string{task.Partition.ID, "gone"})
	if err != nil || !slices.Equal(parts, []partition.Partition{task.Partition}) {
		t.Errorf("Partitions = %+v, %v", parts, err)
	}
	if n, err := q.OutstandingCount(ctx, "a"); err != nil || n != 2 {
		t.Errorf("OutstandingCount = %d, %v", n, err)
	}
}

// TestFollowersReadManyAtATime wants far fewer requests than covers.
func TestFollowersReadManyAtATime(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, queue.Config{InProcess: server})
	const n = 1500
	for i := range n {
		c := partition.Cover{Span: partition.Span{After: fmt.Sprint(i), Upto: strings.Repeat("x", 900)}}
		if err := q.PublishCover(t.Context(), "imp", fmt.Sprint("p", i%7), c); err != nil {
			t.Fatal(err)
		}
	}
	reg := prometheus.NewRegistry()
	reader := queuetest.Connect(t, queue.Config{InProcess: server, Name: "reader", Registerer: reg})
	before := sent(t, reg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next := 0
	err := reader.FollowCovers(ctx, "imp", func(c partition.Cover) {
		if c.After != fmt.Sprint(next) {
			t.Errorf("cover %s, want %d", c.After, next)
		}
		if next++; next == n {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || next != n {
		t.Fatalf("followed %d covers: %v", next, err)
	}
	if sent := sent(t, reg) - before; sent > 20 {
		t.Errorf("%v messages were sent to read %d covers", sent, n)
	}
}

// sent returns how many messages a queue with the registry has sent.
func sent(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "rangefleet_queue_messages_sent_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no count of messages sent")
	return 0
}
