// Package synths3 is a synthetic S3 server for tests and large measurements. It generates
// buckets of any number of keys while they are listed (see package keyset), and keeps objects
// that are put in memory. It can inject faults and the quirks of real stores, which can be
// changed while it runs.
//
// It implements the part of S3 that a worker needs, in path style and without checking
// signatures: ListObjectsV2, and PUT, GET, HEAD and DELETE of objects.
//
// A bucket whose name keyset.Parse accepts, such as hive-10m or uuid-1000000-7, always exists,
// holds the keys of that set, and is read-only. Any other bucket holds the objects that are
// put into it.
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

// Config is the configuration of a server that does not change; Faults may change. The zero
// value is usable.
type Config struct {
	Buckets   []string              // empty buckets at the start; PUT creates more
	Sets      map[string]keyset.Set // generated buckets with names of their own
	KeepBytes int64                 // bytes of contents to keep; of further objects only size and ETag are kept
	Bare      bool                  // leave out the checksum elements that AWS lists

	Now  func() time.Time                           // nil means time.Now
	Wait func(context.Context, time.Duration) error // nil waits in real time
}

// Server is an S3 server. It is safe for concurrent use.
type Server struct {
	cfg      Config
	faults   atomic.Pointer[faults]
	counters counters
	kept     atomic.Int64 // bytes of the contents of all objects
	pages    sync.Pool    // of *page

	mu      sync.Mutex
	buckets map[string]bucket
}

var _ http.Handler = (*Server)(nil)

// bucket is the view of a bucket that listings use: its sorted keys.
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
	_ = s.SetFaults(Faults{}) // the zero value is valid
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
	s.inject(w, r, op, func(w http.ResponseWriter, f *faults) {
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

// bucket returns the bucket with the name, which may be generated, or nil if there is none.
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

// create creates a bucket, unless it exists.
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
	ops // the number of kinds
)

var opNames = [ops]string{"list", "get", "head", "put", "delete", "other"}

// operation returns the kind of a request about an object or about a bucket.
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
