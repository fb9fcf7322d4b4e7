package queue_test

import (
	"bytes"
	"errors"
	"net"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// behind is a server that, as one does which lost its lead without hearing of it,
// answers so many reads with what a stream was before anything was stored there.
type behind struct {
	nats.InProcessConnProvider
	messages atomic.Int64 // reads of a message that are still to be answered so
	infos    atomic.Int64 // and of what a stream holds
}

func (s *behind) InProcessConn() (net.Conn, error) {
	conn, err := s.InProcessConnProvider.InProcessConn()
	return &behindConn{conn, s}, err
}

type behindConn struct {
	net.Conn
	s *behind
}

var (
	getRequest = regexp.MustCompile(`"last_by_subj":"[^"]*"`)
	lastSeq    = regexp.MustCompile(`"last_seq":\d+`)
)

// Write asks for the last message of a subject that there is none of instead.
func (c *behindConn) Write(b []byte) (int, error) {
	if at := getRequest.FindIndex(b); at != nil && c.s.messages.Add(-1) >= 0 {
		b = bytes.Clone(b)
		b[at[1]-2] = '~'
	}
	return c.Conn.Write(b)
}

// Read takes from what a server tells of a stream all that is stored.
func (c *behindConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if at := lastSeq.FindIndex(b[:n]); at != nil && c.s.infos.Add(-1) >= 0 {
		digits := b[at[0]+len(`"last_seq":`) : at[1]]
		for i := range digits {
			digits[i] = ' '
		}
		digits[len(digits)-1] = '0'
		copy(b[:n], bytes.ReplaceAll(b[:n], []byte(`"subjects":{`), []byte(`"others__":{`)))
	}
	return n, err
}

func TestWhatAServerDoesNotKnowYetIsNotAbsent(t *testing.T) {
	for name, late := range map[string]struct{ messages, infos int64 }{
		"none":               {0, 0},
		"the message":        {1, 0},
		"twice":              {2, 0},
		"all":                {1, 1},
		"all, several times": {2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			server := &behind{InProcessConnProvider: queuetest.StartServer(t, natsd.Config{})}
			kv, ctx := queuetest.Connect(t, queue.Config{InProcess: server}).KV(queue.BucketImports), t.Context()
			if _, err := kv.Put(ctx, "key", []byte("value")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := kv.Get(ctx, "key"); err != nil { // the first read looks up the stream, too
				t.Fatal(err)
			}
			server.messages.Store(late.messages)
			server.infos.Store(late.infos)
			if got, _, err := kv.Get(ctx, "key"); err != nil || string(got) != "value" {
				t.Errorf("Get = %q, %v", got, err)
			}
			if left := max(server.messages.Load(), server.infos.Load()); left > 0 {
				t.Errorf("%d reads were never made", left)
			}
			server.infos.Store(late.infos)
			if _, _, err := kv.Get(ctx, "none"); !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("Get of a missing key: %v, want ErrNotFound", err)
			}
			if keys, err := kv.Keys(ctx, ""); err != nil || len(keys) != 1 {
				t.Errorf("Keys = %q, %v", keys, err)
			}
		})
	}
}
