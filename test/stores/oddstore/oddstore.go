// Package oddstore is an S3 server in memory. It keeps S3's promises as far as
// imports need them, and breaks those that it is told to break, as stores are known
// to do.
package oddstore

import (
	"crypto/md5"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The credentials that the server takes.
const (
	AccessKeyID     = "rangefleet"
	SecretAccessKey = "rangefleet-test-secret"
	Region          = "us-east-1"
)

// Source is the one bucket that Faults apply to, but for those of Put and of requests.
const Source = "source"

// Object is an object of a bucket.
type Object struct {
	Key  string
	Body []byte
	Time time.Time
}

// ETag returns the object's ETag, without quotes.
func (o Object) ETag() string {
	sum := md5.Sum(o.Body)
	return hex.EncodeToString(sum[:])
}

// Request is what the server was asked.
type Request struct {
	Method, Host, Bucket, Key string
	Query                     url.Values
	Signed                    bool
}

// Store is the server. It is safe for concurrent use. A bucket exists once something
// is put into it, as Source does from the start.
type Store struct {
	faults Faults

	mu       sync.Mutex
	buckets  map[string]map[string]Object
	requests []Request
	refused  int // of them, as who sent them is not known
}

// New returns a server with the faults, and objects with the keys in Source. The body
// of each is its key.
func New(faults Faults, keys ...string) *Store {
	s := &Store{faults: faults, buckets: map[string]map[string]Object{Source: {}}}
	for _, key := range keys {
		s.put(Source, key, []byte(key))
	}
	return s
}

// Objects returns the objects of a bucket, sorted by their keys.
func (s *Store) Objects(bucket string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.buckets[bucket]), func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
}

// Requests returns what the server was asked so far of a bucket.
func (s *Store) Requests(bucket string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return r.Bucket != bucket })
}

// Refused returns how many requests came from somebody who is not known.
func (s *Store) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Lists returns the LIST calls among the requests of Source.
func (s *Store) Lists() []Request {
	return slices.DeleteFunc(s.Requests(Source), func(r Request) bool {
		return r.Method != http.MethodGet || !r.Query.Has("list-type")
	})
}

func (s *Store) put(bucket, key string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[bucket] == nil {
		s.buckets[bucket] = make(map[string]Object)
	}
	s.buckets[bucket][key] = Object{Key: key, Body: body, Time: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}
}

func (s *Store) get(bucket, key string) (o Object, exists, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, exists := s.buckets[bucket]
	o, found = objects[key]
	return o, exists, found
}

func (s *Store) noteRefused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
}

func (s *Store) note(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}
