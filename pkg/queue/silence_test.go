package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// told is a try: when it began and ended, how, and whether its success is a proof.
type told struct {
	begun, ended time.Duration
	err          error
	proof        bool
}

func TestSilence(t *testing.T) {
	const second, ms = time.Second, time.Millisecond
	vain := errors.New("in vain")
	for name, tc := range map[string]struct {
		tries []told
		want  map[time.Duration]bool // by when it is asked
	}{
		"nothing tried": {nil, map[time.Duration]bool{0: false, time.Hour: false}},
		"one try that hung": {
			[]told{{0, 5 * second, vain, true}},
			map[time.Duration]bool{5 * second: true, 15 * second: true, 15*second + 1: false},
		},
		"refused again and again": {
			[]told{{0, ms, vain, true}, {2 * second, 2*second + ms, vain, false}, {5 * second, 5*second + ms, vain, true}},
			map[time.Duration]bool{5*second + ms: true},
		},
		"an election": {
			[]told{{0, ms, vain, true}, {second, 4 * second, vain, true}, {4 * second, 4*second + ms, nil, true}},
			map[time.Duration]bool{4 * second: false, 10 * second: false},
		},
		"it is over": {
			[]told{{0, 6 * second, vain, true}, {6 * second, 7 * second, nil, true}},
			map[time.Duration]bool{7 * second: false},
		},
		"reads are answered all the same": {
			[]told{{0, 3 * second, vain, true}, {3 * second, 4 * second, nil, false}, {4 * second, 6 * second, vain, true}},
			map[time.Duration]bool{6 * second: true},
		},
		"others store meanwhile": {
			[]told{{3 * second, 3 * second, nil, true}, {0, 5 * second, vain, true}},
			map[time.Duration]bool{5 * second: false},
		},
		"failures far apart": {
			[]told{{0, ms, vain, true}, {11 * second, 11*second + ms, vain, true}},
			map[time.Duration]bool{11*second + ms: false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			start, s := time.Now(), silence{}
			for _, try := range tc.tries {
				s.note(start.Add(try.begun), start.Add(try.ended), try.err, try.proof)
			}
			for at, want := range tc.want {
				if got := s.lasts(start.Add(at)); got != want {
					t.Errorf("after %v: silent is %t, want %t", at, got, want)
				}
			}
		})
	}
}

// What NATS answers, whatever it is, and what says nothing of it is no silence.
func TestAnswered(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bool
	}{
		{nil, true},
		{ErrConflict, true},
		{ErrFull, true},
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

// A connection that was lost leaves no silence behind.
func TestSilenceIsOfOneConnection(t *testing.T) {
	l, start := newLink(), time.Now()
	vain := func(after time.Duration) bool {
		return l.tried(start, start.Add(after), context.DeadlineExceeded, true)
	}
	if at := silentAfter; !vain(at) || vain(at+1) || !l.silent(start.Add(at)) {
		t.Error("a silence is not told, or more than once")
	}
	l.lost()
	l.restored()
	if l.silent(start.Add(silentAfter + 1)) {
		t.Error("a silence outlasts its connection")
	}
	l.lost()
	if vain(2*silentAfter) || l.silent(start.Add(2*silentAfter)) {
		t.Error("who is not even reached is silent")
	}
}
