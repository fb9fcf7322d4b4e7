package covers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/internal/tracedlog"
	"github.com/rangefleet/rangefleet/pkg/covers"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

var (
	cover = queuetest.Cover
	same  = queuetest.SameCover
)

func TestFollowCoversInOrderAcrossServerRestarts(t *testing.T) {
	t.Parallel()
	const n, restarts = 60, 2
	dir := t.TempDir()
	server, login := queuetest.StartListening(t, dir, "127.0.0.1:0")
	url := server.ClientURL()
	reader := queuetest.Connect(t, natsconn.Config{URL: url, Login: login})
	writer := queuetest.Connect(t, natsconn.Config{URL: url, Login: login})

	got := make(chan partition.Cover, 2*n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- reader.Covers.Follow(ctx, "imp", func(c partition.Cover) { got <- c }) }()

	written := publishAll(ctx, t, writer.Covers, n)
	for r := range restarts {
		for i := range written {
			if i == (r+1)*n/(restarts+1) {
				break
			}
		}
		expect.NoError(t, server.Shutdown())
		server, _ = queuetest.StartListening(t, dir, strings.TrimPrefix(url, "nats://"))
	}
	takeInOrder(t, got, n)
	for range written { // the writer is done
	}
	if count, err := reader.Covers.Count(ctx, "imp"); err != nil || count < n {
		t.Errorf("Count = %d, %v, want at least %d", count, err, n)
	}
	cancel()
	if err := expect.Received(t, "the end of Follow", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Follow: %v, want context.Canceled", err)
	}
}

// publishAll publishes n covers of import "imp", and as many of another one. The channel
// receives the number of each, and is closed at the end.
func publishAll(ctx context.Context, t *testing.T, log *covers.Log, n int) <-chan int {
	written := make(chan int, n)
	go func() {
		defer close(written)
		for i := range n {
			err := errors.Join(
				log.Publish(ctx, "imp", fmt.Sprint("p", i%3), cover(i)),
				log.Publish(ctx, "noise", "p", cover(i)),
			)
			if err != nil {
				t.Error(err)
				return
			}
			written <- i
		}
	}()
	return written
}

// takeInOrder receives the first n covers. One whose answer was lost is stored twice, one
// after the other.
func takeInOrder(t *testing.T, got <-chan partition.Cover, n int) {
	t.Helper()
	for next := 0; next < n; {
		c := expect.Received(t, "a cover", got)
		if next > 0 && same(c, cover(next-1)) {
			continue
		}
		if !same(c, cover(next)) {
			t.Fatalf("cover %d: got %+v %+v", next, c, c.Range)
		}
		next++
	}
}

func TestLastIsTheNewestCoverOfAPartition(t *testing.T) {
	log, ctx := queuetest.Start(t).Covers, t.Context()
	for i := range 6 {
		expect.NoError(t, log.Publish(ctx, "imp", fmt.Sprint("p", i%3), cover(i)))
	}
	last, ok, err := log.Last(ctx, "imp", "p1")
	if err != nil || !ok || !same(last, cover(4)) {
		t.Errorf("Last = %+v, %v, %v", last, ok, err)
	}
	if _, ok, err := log.Last(ctx, "imp", "none"); err != nil || ok {
		t.Errorf("Last of an unknown partition = %v, %v", ok, err)
	}
}

// TestFollowersReadManyAtATime expects far fewer requests than covers.
func TestFollowersReadManyAtATime(t *testing.T) {
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	const n = 1500
	for i := range n {
		c := partition.Cover{Span: partition.Span{After: fmt.Sprint(i), Upto: strings.Repeat("x", 900)}}
		expect.NoError(t, q.Covers.Publish(t.Context(), "imp", fmt.Sprint("p", i%7), c))
	}
	reg := prometheus.NewRegistry()
	reader := queuetest.Connect(t, natsconn.Config{InProcess: server, Name: "reader", Registerer: reg})
	const messages = "rangefleet_nats_messages_sent_total"
	before := measured.Sum(t, reg, messages)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next := 0
	err := reader.Covers.Follow(ctx, "imp", func(c partition.Cover) {
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
	if sent := measured.Sum(t, reg, messages) - before; sent > 20 {
		t.Errorf("%v messages were sent to read %d covers", sent, n)
	}
}

// A server that lost power may have lost messages that it had acknowledged, and gives their
// numbers to new ones.
func TestFollowersNoticeThatCoversAreLost(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	q := queuetest.Connect(t, natsconn.Config{InProcess: server})
	survey := func() {
		_, err := q.Survey(t.Context())
		expect.NoError(t, err)
	}
	write := func(from, to int) {
		for i := from; i < to; i++ {
			expect.NoError(t, q.Covers.Publish(t.Context(), "imp", "p", cover(i)))
		}
	}
	got, ended := make(chan partition.Cover, 20), make(chan error, 1)
	follow := func() {
		ended <- q.Covers.Follow(t.Context(), "imp", func(c partition.Cover) { got <- c })
	}
	write(0, 10)
	survey()
	go follow()
	read := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			select {
			case c := <-got:
				if !same(c, cover(i)) {
					t.Fatalf("followed %+v, want cover %d", c, i)
				}
			case err := <-ended:
				t.Fatalf("%v, after %d covers", err, i)
			}
		}
	}
	read(0, 10)
	survey()
	write(10, 11)
	read(10, 11) // none is lost, though the survey is older than the last one

	queuetest.Lose(t, server, "COVERS")
	expect.NoError(t, q.Restore(t.Context()))
	write(11, 13)
	survey()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "has lost covers") {
		t.Fatalf("followers of a stream that was made anew: %v", err)
	}
	go follow()
	read(11, 13)
}

// A failed read is logged with the trace that the caller is in.
func TestFailedReadsNameTheTrace(t *testing.T) {
	t.Parallel()
	server := queuetest.StartServer(t, natsd.Config{})
	reg := prometheus.NewRegistry()
	q := queuetest.Connect(t, natsconn.Config{InProcess: server, Registerer: reg, Log: tracedlog.New(t)})
	ctx, cancel := context.WithCancel(tracedlog.Place().In(t.Context()))
	defer cancel()
	got, ended := make(chan partition.Cover, 1), make(chan error, 1)
	expect.NoError(t, q.Covers.Publish(ctx, "imp", "p", cover(0)))
	go func() { ended <- q.Covers.Follow(ctx, "imp", func(c partition.Cover) { got <- c }) }()
	expect.Received(t, "a cover", got)
	queuetest.Lose(t, server, "COVERS") // nobody answers who reads it
	expect.Eventually(t, "a read failed", func() bool { return measured.Sum(t, reg, "rangefleet_nats_retries_total", "follow") > 0 })
	cancel()
	if err := expect.Received(t, "the end", ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
