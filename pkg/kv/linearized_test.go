package kv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// behind is a server that gives stale answers to a number of reads, like one that lost its
// leadership without knowing: that there is nothing, or what is stored under another key.
type behind struct {
	nats.InProcessConnProvider
	messages atomic.Int64 // stale answers to give to reads of a message
	infos    atomic.Int64 // stale answers to give to reads of a stream's contents
	looks    atomic.Int64 // writes to refuse, as a leader of replicas does during a linearized read of the key
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
	expected   = regexp.MustCompile(`Nats-Expected-Last-Subject-Sequence: \d+`)
)

// Codes of a write that is refused because the key is not at the revision, and because that
// is not known yet.
var atOther, underWay = []byte(`"err_code":10071`), []byte(`"err_code":10164`)

// Write makes a read ask for another subject, whose last letter is an x, and a write that is
// to be refused expect another revision.
func (c *behindConn) Write(b []byte) (int, error) {
	if at := expected.FindIndex(b); at != nil && c.s.looks.Load() > 0 {
		b = bytes.Clone(b)
		b[at[1]-1] = '0' + (b[at[1]-1]-'0'+5)%10
	}
	if at := getRequest.FindIndex(b); at != nil && c.s.messages.Add(-1) >= 0 {
		b = bytes.Clone(b)
		b[at[1]-2] = 'x'
	}
	return c.Conn.Write(b)
}

// Read empties a stream's contents.
func (c *behindConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if at := bytes.Index(b[:n], atOther); at >= 0 && c.s.looks.Add(-1) >= 0 {
		copy(b[at:], underWay)
	}
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

// startBehind returns a bucket on such a server.
func startBehind(t *testing.T) (*behind, kv.Bucket) {
	server := &behind{InProcessConnProvider: queuetest.StartServer(t, natsd.Config{})}
	bucket := queuetest.Connect(t, natsconn.Config{InProcess: server}).Bucket(kv.BucketImports)
	if _, _, err := bucket.Get(t.Context(), "none"); !errors.Is(err, kv.ErrNotFound) {
		t.Fatal(err)
	}
	return server, bucket
}

func create(t *testing.T, bucket kv.Bucket, key, value string) uint64 {
	t.Helper()
	rev, err := bucket.Create(t.Context(), key, []byte(value))
	expect.NoError(t, err)
	return rev
}

func TestAStaleServerDoesNotMakeAKeyAbsent(t *testing.T) {
	for name, late := range map[string]struct{ messages, infos int64 }{
		"none":               {0, 0},
		"the message":        {1, 0},
		"twice":              {2, 0},
		"all":                {1, 1},
		"all, several times": {2, 3},
	} {
		t.Run(name, func(t *testing.T) {
			server, bucket := startBehind(t)
			ctx := t.Context()
			create(t, bucket, "key", "value")
			for _, read := range []func(context.Context, string) ([]byte, uint64, error){bucket.Get, bucket.GetLinearized} {
				server.messages.Store(late.messages)
				server.infos.Store(late.infos)
				if got, _, err := read(ctx, "key"); err != nil || string(got) != "value" {
					t.Errorf("read %q, %v", got, err)
				}
				if left := max(server.messages.Load(), server.infos.Load()); left > 0 {
					t.Errorf("%d reads were never made", left)
				}
				server.infos.Store(late.infos)
				if _, _, err := read(ctx, "none"); !errors.Is(err, kv.ErrNotFound) {
					t.Errorf("read of a missing key: %v, want ErrNotFound", err)
				}
			}
			if keys, err := bucket.Keys(ctx, ""); err != nil || len(keys) != 1 {
				t.Errorf("Keys = %q, %v", keys, err)
			}
		})
	}
}

func TestGetLinearizedIsNotStale(t *testing.T) {
	server, bucket := startBehind(t)
	create(t, bucket, "kex", "before")
	want := create(t, bucket, "key", "after")
	for times := range int64(15) {
		server.messages.Store(times)
		if got, rev, err := bucket.GetLinearized(t.Context(), "key"); err != nil || string(got) != "after" || rev != want {
			t.Errorf("GetLinearized = %q, %d, %v, want the value at %d after %d that are older", got, rev, err, want, times)
		}
	}
	server.messages.Store(1)
	if got, _, err := bucket.Get(t.Context(), "key"); err != nil || string(got) != "before" {
		t.Errorf("Get = %q, %v: the server is not behind", got, err)
	}
}

// A leader of replicas refuses a write during a linearized read of the key, and while an
// earlier attempt of the same write is not stored yet. Neither is a conflict.
func TestAWriteSurvivesLinearizedReads(t *testing.T) {
	server, bucket := startBehind(t)
	ctx := t.Context()
	for looks := range int64(3) {
		key := fmt.Sprint("key", looks)
		server.looks.Store(looks)
		first := create(t, bucket, key, "1")
		server.looks.Store(looks)
		rev, err := bucket.Update(ctx, key, []byte("2"), first)
		if err != nil {
			t.Fatalf("Update during %d looks: %v", looks, err)
		}
		server.looks.Store(looks)
		if _, err := bucket.Update(ctx, key, []byte("3"), first); !errors.Is(err, kv.ErrConflict) {
			t.Errorf("Update at an old revision during %d looks: %v, want ErrConflict", looks, err)
		}
		server.looks.Store(looks)
		if err := bucket.Delete(ctx, key, rev); err != nil {
			t.Errorf("Delete during %d looks: %v", looks, err)
		}
		if left := server.looks.Load(); left > 0 {
			t.Errorf("%d looks met no write", left)
		}
	}
}

// A process may die between the two steps of a deletion. A read of the key then finishes
// it, unless the read is stale.
func TestAnUnfinishedDeletion(t *testing.T) {
	server, bucket := startBehind(t)
	ctx := t.Context()
	create(t, bucket, "key", "value")
	nc, err := nats.Connect("", nats.InProcessServer(server))
	expect.NoError(t, err)
	defer nc.Close()
	mark := nats.NewMsg("$KV." + kv.BucketImports + ".kex")
	mark.Header.Set("KV-Operation", "DEL")
	if _, err := nc.RequestMsgWithContext(ctx, mark); err != nil {
		t.Fatal(err)
	}
	server.messages.Store(1)
	if got, _, err := bucket.Get(ctx, "key"); err != nil || string(got) != "value" {
		t.Errorf("Get of a key that was made anew = %q, %v", got, err)
	}
	if keys, err := bucket.Keys(ctx, "kex"); err != nil || len(keys) != 1 {
		t.Fatalf("Keys = %q, %v, want the one that is being deleted", keys, err)
	}
	if _, _, err := bucket.Get(ctx, "kex"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get of a key that is being deleted: %v", err)
	}
	if keys, err := bucket.Keys(ctx, "kex"); err != nil || len(keys) != 0 {
		t.Errorf("Keys = %q, %v after a read of the key", keys, err)
	}
}
