// Package oddstore is an S3 server in memory for tests of imports. It can deviate from S3 in ways
// that are known of real stores.
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

// The credentials that the server accepts.
const (
	AccessKeyID     = "rangefleet"
	SecretAccessKey = "rangefleet-test-secret"
	Region          = "us-east-1"
)

// Source is the bucket to which the faults of pages apply.
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

// Request is a request to the server.
type Request struct {
	Method, Host, Bucket, Key string
	Query                     url.Values
	Signed                    bool
}

// Store is the server. It is safe for concurrent use. Source exists from the start. The first PUT
// creates any other bucket.
type Store struct {
	faults Faults

	mu       sync.Mutex
	buckets  map[string]map[string]Object
	requests []Request
	refused  int // number of requests with unknown credentials
}

// New returns a server with the faults, and with objects in Source. The body of each object is its
// key.
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

// Requests returns the requests for a bucket so far.
func (s *Store) Requests(bucket string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return r.Bucket != bucket })
}

// Refused returns the number of requests with unknown credentials.
func (s *Store) Refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Lists returns the LIST requests for Source.
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
