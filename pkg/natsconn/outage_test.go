package natsconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/pause"
)

// attempt is when an attempt began and ended, how, and whether its success is a proof.
type attempt struct {
	begun, ended time.Duration
	err          error
	proof        bool
}

func TestOutageDetector(t *testing.T) {
	const second, ms = time.Second, time.Millisecond
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		attempts []attempt
		want     map[time.Duration]bool // by when it is asked
	}{
		"no attempts": {nil, map[time.Duration]bool{0: false, time.Hour: false}},
		"one attempt that hung": {
			[]attempt{{0, 5 * second, failed, true}},
			map[time.Duration]bool{5 * second: true, 15 * second: true, 15*second + 1: false},
		},
		"refused again and again": {
			[]attempt{{0, ms, failed, true}, {2 * second, 2*second + ms, failed, false}, {5 * second, 5*second + ms, failed, true}},
			map[time.Duration]bool{5*second + ms: true},
		},
		"an election": {
			[]attempt{{0, ms, failed, true}, {second, 4 * second, failed, true}, {4 * second, 4*second + ms, nil, true}},
			map[time.Duration]bool{4 * second: false, 10 * second: false},
		},
		"a write succeeds": {
			[]attempt{{0, 6 * second, failed, true}, {6 * second, 7 * second, nil, true}},
			map[time.Duration]bool{7 * second: false},
		},
		"reads still succeed": {
			[]attempt{{0, 3 * second, failed, true}, {3 * second, 4 * second, nil, false}, {4 * second, 6 * second, failed, true}},
			map[time.Duration]bool{6 * second: true},
		},
		"another call succeeds meanwhile": {
			[]attempt{{3 * second, 3 * second, nil, true}, {0, 5 * second, failed, true}},
			map[time.Duration]bool{5 * second: false},
		},
		"failures far apart": {
			[]attempt{{0, ms, failed, true}, {11 * second, 11*second + ms, failed, true}},
			map[time.Duration]bool{11*second + ms: false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			start, d := time.Now(), outageDetector{}
			for _, a := range tc.attempts {
				d.attempted(start.Add(a.begun), start.Add(a.ended), a.err, a.proof)
			}
			for at, want := range tc.want {
				if got := d.detected(start.Add(at)); got != want {
					t.Errorf("after %v: detected is %t, want %t", at, got, want)
				}
			}
		})
	}
}

// Answers of NATS count as such, and so do errors that say nothing about NATS.
func TestAnswered(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{nil, true},
		{Final(errors.New("a conflict")), true},
		{ErrBehind, true},
		{fmt.Errorf("a call: %w", jetstream.ErrStreamNotFound), true},
		{&jetstream.APIError{Code: 400, ErrorCode: jetstream.JSErrCodeBadRequest}, true},
		{context.Canceled, true},
		{nats.ErrDisconnected, true},
		{context.DeadlineExceeded, false},
		{nats.ErrNoResponders, false},
		{jetstream.ErrNoStreamResponse, false},
		{&jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "no space left on device"}, true},
		{&jetstream.APIError{Code: 503, ErrorCode: notAvailable}, false},
		{&jetstream.APIError{Code: 400, ErrorCode: noPeers}, false},
	} {
		if got := answered(tc.err); got != tc.want {
			t.Errorf("%v: answered is %t, want %t", tc.err, got, tc.want)
		}
	}
}

// An outage ends with the connection in which it was detected.
func TestOutageEndsWithItsConnection(t *testing.T) {
	l, start := newLink(slog.New(slog.DiscardHandler), newMetrics(nil)), time.Now()
	detected := func(after time.Duration) bool {
		l.attempted("write", start, start.Add(after), context.DeadlineExceeded)
		return l.unresponsive(start.Add(after))
	}
	if !detected(outageAfter) {
		t.Error("an outage is not detected")
	}
	l.disconnected(new(nats.Conn), nil)
	l.reconnected(new(nats.Conn))
	if l.unresponsive(start.Add(outageAfter + 1)) {
		t.Error("an outage outlasts its connection")
	}
	l.disconnected(new(nats.Conn), nil)
	if detected(2 * outageAfter) {
		t.Error("an outage is detected without a connection")
	}
}

// A problem that lasts is logged every ten seconds.
func TestProblemsAreLoggedRarely(t *testing.T) {
	for name, problem := range map[string]func(*link){
		"does not answer": func(l *link) {
			l.attempted("read", time.Now().Add(-outageAfter), time.Now(), context.DeadlineExceeded)
		},
		"is not reached": func(l *link) {
			l.unreached(nats.ErrAuthorization)
			l.remind()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var said bytes.Buffer
			l := newLink(slog.New(slog.NewTextHandler(&said, nil)), newMetrics(nil))
			for range 100 {
				problem(l)
				expect.NoError(t, pause.For(t.Context(), logEvery/20))
			}
			if got := strings.Count(said.String(), name); got != 5 {
				t.Errorf("%q was logged %d times in 50 s, want 5: %s", name, got, &said)
			}
			if strings.Count(said.String(), "check nats.user") > 5 {
				t.Errorf("the advice is repeated: %s", &said)
			}
		})
	}
}
