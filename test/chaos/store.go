package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
	wait "github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/retry"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// Buckets of the synthetic S3, besides the generated ones.
const (
	namespaceBucket = "ns"
	liveBucket      = "live"   // objects are put and removed
	pastBucket      = "past"   // the first state of liveBucket
	poisonBucket    = "poison" // some keys cannot be listed
)

// LISTs of the poison bucket are refused if their pages would hold any of the keys with these
// indexes.
const poisonFrom, poisonTo, poisonKeys = 9_000, 9_100, 20_000

// store is the synthetic S3 with further faults: a limit of the rate of all LIST calls, stale
// pages, and keys that cannot be listed. Methods may be called concurrently.
type store struct {
	objects *synths3.Server
	server  *http.Server
	addr    string

	stale  atomic.Uint64 // share of the pages of liveBucket that are stale, in thousandths
	flip   atomic.Uint64 // share of the answers to GET with a flipped bit, in thousandths
	frozen atomic.Int64  // if not 0, the modification time of new objects, in milliseconds
	poison keyset.Set

	mu   sync.Mutex
	rate float64   // LIST calls per second; 0 for no limit
	next time.Time // when the next LIST call may be served
	rnd  *rand.Rand
}

func newStore(seed uint64) (*store, error) {
	poison, err := keyset.New("md5", poisonKeys, seed)
	if err != nil {
		return nil, err
	}
	s := &store{poison: poison, rnd: rand.New(rand.NewPCG(seed, 99))}
	s.objects = synths3.New(synths3.Config{
		Buckets: []string{namespaceBucket, liveBucket, pastBucket}, Sets: map[string]keyset.Set{poisonBucket: poison},
		KeepBytes: 4 << 30, Now: s.now,
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for S3: %w", err)
	}
	s.addr = l.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(l) }() // until the server is closed
	return s, nil
}

func (s *store) now() time.Time {
	if ms := s.frozen.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Now()
}

// setListRate limits LIST calls per second; 0 means no limit.
func (s *store) setListRate(rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate, s.next = rate, time.Now()
}

// turn returns how long a LIST call must wait.
func (s *store) turn() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rate == 0 {
		return 0
	}
	now := time.Now()
	if s.next.Before(now) {
		s.next = now
	}
	wait := s.next.Sub(now)
	s.next = s.next.Add(time.Duration(float64(time.Second) / s.rate))
	return wait
}

// drawn returns true for a share of its calls, in thousandths.
func (s *store) drawn(share *atomic.Uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rnd.Uint64N(1000) < share.Load()
}

// flipped is a response writer that flips a bit of the first write.
type flipped struct {
	http.ResponseWriter
	at   uint64
	done bool
}

func (f *flipped) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func (f *flipped) Write(b []byte) (int, error) {
	if len(b) > 0 && !f.done {
		f.done = true
		b = bytes.Clone(b)
		b[f.at%uint64(len(b))] ^= 1 << (f.at >> 32 % 8)
	}
	return f.ResponseWriter.Write(b)
}

// renamed is a response writer that replaces the name of the past bucket by that of the live
// bucket. Both names have the same length, so that Content-Length stays right.
type renamed struct{ http.ResponseWriter }

func (n renamed) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func (n renamed) Write(b []byte) (int, error) {
	const opening, closing = "<Name>", "</Name>"
	return n.ResponseWriter.Write(bytes.Replace(b, []byte(opening+pastBucket+closing), []byte(opening+liveBucket+closing), 1))
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2" {
		if !pause(r.Context(), s.turn()) {
			return
		}
		switch bucket := strings.Trim(r.URL.Path, "/"); {
		case bucket == poisonBucket && s.poisoned(r):
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>These keys are not yours to list.</Message></Error>")
			return
		case bucket == liveBucket && s.drawn(&s.stale):
			r = r.Clone(r.Context())
			r.URL.Path = "/" + pastBucket + "/"
			w = renamed{w}
		}
	} else if r.Method == http.MethodGet && s.drawn(&s.flip) {
		w = &flipped{ResponseWriter: w, at: rand.Uint64()}
	}
	s.objects.ServeHTTP(w, r)
}

// poisoned reports whether the requested page holds keys that cannot be listed.
func (s *store) poisoned(r *http.Request) bool {
	q := r.URL.Query()
	after := q.Get("start-after")
	if token, err := base64.StdEncoding.DecodeString(q.Get("continuation-token")); err == nil && len(token) > 0 {
		after = string(token[1:])
	}
	first := s.poison.Rank(after)
	return first < poisonTo && first+1000 > poisonFrom
}

// put stores or removes an object directly, and repeats that until no fault prevents it.
func (s *store) put(method, bucket, key, content string) {
	for !s.putOnce(method, bucket, key, content) {
		runtime.Gosched()
	}
}

func (s *store) putOnce(method, bucket, key, content string) (done bool) {
	defer func() {
		if aborted := recover(); aborted != nil && aborted != http.ErrAbortHandler { //nolint:errorlint // recover returns this value itself
			panic(aborted)
		}
	}()
	r := httptest.NewRequestWithContext(context.Background(), method, "/", strings.NewReader(content))
	r.URL.Path = "/" + bucket + "/" + key
	answer := httptest.NewRecorder()
	s.objects.ServeHTTP(answer, r)
	return answer.Code < http.StatusMultipleChoices
}

// open returns a bucket for the harness, which uses no link.
func (s *store) open(ctx context.Context, bucket string) (objectstore.Store, error) {
	c, err := s3store.New(ctx, s3store.Config{
		Endpoint: "http://" + s.addr, Region: "us-east-1", ForcePathStyle: true, AccessKeyID: "key", SecretAccessKey: "secret",
	})
	if err != nil {
		return nil, err
	}
	b, err := c.Bucket(bucket)
	if err != nil {
		return nil, err
	}
	return retry.New(nil).Wrap(b), nil
}

// pause waits, and reports whether it did so before ctx ended.
func pause(ctx context.Context, d time.Duration) bool { return wait.For(ctx, d) == nil }
