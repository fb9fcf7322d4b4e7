// Package synths3 is an S3 server for tests and measurements at scale. Buckets of
// any number of keys are generated as they are listed (see package keyset),
// objects that are put are kept in memory, and faults and the habits of stores
// that keep S3's promises badly can be switched on and off while it runs.
//
// It speaks as much of S3 as a listing worker needs, path-style and without
// looking at signatures: ListObjectsV2, and PUT, GET, HEAD and DELETE of objects.
//
// A bucket whose name keyset.Parse understands, such as hive-10m or uuid-1000000-7,
// exists, holds just those keys and is read-only. All others hold what is put into
// them.
package synths3

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rangefleet/rangefleet/internal/keyset"
	"github.com/rangefleet/rangefleet/internal/pause"
)

// Config is how a server works for good; see Faults for what may change. The
// zero value is usable.
type Config struct {
	Buckets   []string              // that exist from the start, empty; more are made by PUT
	Sets      map[string]keyset.Set // generated buckets with names of their own
	KeepBytes int64                 // of objects put; what is put beyond has its size and ETag kept, not its content
	Bare      bool                  // pages without the checksum elements that AWS sends

	Now  func() time.Time                           // nil is time.Now
	Wait func(context.Context, time.Duration) error // nil waits in real time
}

// Server is an S3 server. It is safe for concurrent use.
type Server struct {
	cfg      Config
	faults   atomic.Pointer[faults]
	counters counters
	kept     atomic.Int64 // bytes of all objects' content
	pages    sync.Pool    // of *page

	mu      sync.Mutex
	buckets map[string]bucket
}

var _ http.Handler = (*Server)(nil)

// bucket is what a listing needs to know of a bucket: its keys in order.
type bucket interface {
	Len() int64
	AppendKey(dst []byte, i int64) []byte
	Rank(key string) int64
	Below(key string) int64
	Object(i int64) keyset.Object
}

// New returns a server without faults.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Wait == nil {
		cfg.Wait = pause.For
	}
	s := &Server{cfg: cfg, buckets: make(map[string]bucket)}
	for name, set := range cfg.Sets {
		s.buckets[name] = set
	}
	for _, name := range cfg.Buckets {
		s.buckets[name] = &stored{}
	}
	_ = s.SetFaults(Faults{}) // no fault is no error
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, key, object := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	object = object && key != ""
	if name == controlBucket {
		s.control(w, r, key)
		return
	}
	op := operation(r, object)
	defer s.counters.begin(op, r)()
	s.befall(w, r, op, func(w http.ResponseWriter, f *faults) {
		switch {
		case op == opOther:
			s.refuse(w, r, http.StatusNotImplemented, "NotImplemented", r.Method+" "+r.URL.RequestURI())
		case object:
			s.object(w, r, name, key)
		case r.Method == http.MethodPut:
			s.create(w, name)
		default:
			s.list(w, r, name, f)
		}
	})
}

// bucket returns a bucket, generating it if its name says so; nil if it does
// not exist.
func (s *Server) bucket(name string) bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets[name]; ok {
		return b
	}
	set, ok := keyset.Parse(name)
	if !ok {
		return nil
	}
	s.buckets[name] = set
	return set
}

// create makes a bucket, if there is none of that name.
func (s *Server) create(w http.ResponseWriter, name string) {
	if s.bucket(name) == nil {
		s.mu.Lock()
		if s.buckets[name] == nil {
			s.buckets[name] = &stored{}
		}
		s.mu.Unlock()
	}
	w.WriteHeader(http.StatusOK)
}

// op is a kind of call.
type op int

const (
	opList op = iota
	opGet
	opHead
	opPut
	opDelete
	opOther
	ops // how many
)

var opNames = [ops]string{"list", "get", "head", "put", "delete", "other"}

// operation returns what a request asks for. Listings and everything else about
// a bucket are one kind.
func operation(r *http.Request, object bool) op {
	q := r.URL.Query()
	switch {
	case !object && r.Method == http.MethodGet && q.Get("list-type") == "2":
		return opList
	case !object && (r.Method == http.MethodHead || r.Method == http.MethodPut) && r.URL.RawQuery == "":
		return opHead
	case !object || q.Has("uploads") || q.Has("uploadId"):
		return opOther
	}
	switch r.Method {
	case http.MethodGet:
		return opGet
	case http.MethodHead:
		return opHead
	case http.MethodPut:
		return opPut
	case http.MethodDelete:
		return opDelete
	}
	return opOther
}
