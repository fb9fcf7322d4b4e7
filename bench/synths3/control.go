package synths3

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
)

// controlBucket is the first segment of the paths of the control API. No bucket can have such
// a name.
const controlBucket = "_synths3"

// Counters count what a server has done since it started, or since the counters were reset.
type Counters struct {
	Calls       map[string]int64 `json:"calls"`         // by kind: list, get, head, put, delete, other
	Retries     int64            `json:"retries"`       // calls that the SDK marks as retries
	Keys        int64            `json:"keys"`          // listed keys and common prefixes
	SlowDowns   int64            `json:"slow_downs"`    // calls answered 503
	Resets      int64            `json:"resets"`        // connections reset
	Cuts        int64            `json:"cuts"`          // bodies cut short
	Stalls      int64            `json:"stalls"`        // stalled pages
	QuirkyPages int64            `json:"quirky_pages"`  // pages with quirks
	BytesIn     int64            `json:"bytes_in"`      // bytes of objects put
	BytesOut    int64            `json:"bytes_out"`     // bytes of bodies sent
	MaxInFlight int64            `json:"max_in_flight"` // most LIST calls at the same time
}

type counters struct {
	calls                                          [ops]atomic.Int64
	inFlight, maxInFlight                          [2]atomic.Int64 // for LIST calls, and for all other calls
	retries, keys, slowDowns, resets, cuts, stalls atomic.Int64
	quirky, bytesIn, bytesOut                      atomic.Int64
}

// begin counts a call and returns a function that must be called at its end.
func (c *counters) begin(op op, r *http.Request) (end func()) {
	kind := 1
	if op == opList {
		kind = 0
	}
	c.calls[op].Add(1)
	if try := r.Header.Get("Amz-Sdk-Request"); strings.Contains(try, "attempt=") && !strings.Contains(try, "attempt=1;") {
		c.retries.Add(1)
	}
	now := c.inFlight[kind].Add(1)
	for old := c.maxInFlight[kind].Load(); old < now && !c.maxInFlight[kind].CompareAndSwap(old, now); {
		old = c.maxInFlight[kind].Load()
	}
	return func() { c.inFlight[kind].Add(-1) }
}

// Counters returns the counters.
func (s *Server) Counters() Counters {
	c := &s.counters
	out := Counters{
		Calls: make(map[string]int64, ops), Retries: c.retries.Load(), Keys: c.keys.Load(), SlowDowns: c.slowDowns.Load(),
		Resets: c.resets.Load(), Cuts: c.cuts.Load(), Stalls: c.stalls.Load(), QuirkyPages: c.quirky.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), MaxInFlight: c.maxInFlight[0].Load(),
	}
	for op, name := range opNames {
		out.Calls[name] = c.calls[op].Load()
	}
	return out
}

// ResetCounters sets all counters to zero. Calls in flight may be counted or not.
func (s *Server) ResetCounters() {
	c := &s.counters
	for op := range c.calls {
		c.calls[op].Store(0)
	}
	for _, v := range []*atomic.Int64{
		&c.retries, &c.keys, &c.slowDowns, &c.resets, &c.cuts, &c.stalls, &c.quirky, &c.bytesIn, &c.bytesOut,
		&c.maxInFlight[0], &c.maxInFlight[1],
	} {
		v.Store(0)
	}
}

// control serves the control API:
//
//	GET    /_synths3/counters   returns Counters
//	DELETE /_synths3/counters   resets them
//	GET    /_synths3/faults     returns Faults
//	PUT    /_synths3/faults     replaces them
func (s *Server) control(w http.ResponseWriter, r *http.Request, what string) {
	switch r.Method + " " + what {
	case "GET counters":
		answer(w, s.Counters())
	case "DELETE counters":
		s.ResetCounters()
	case "GET faults":
		answer(w, s.faults.Load().Faults)
	case "PUT faults":
		var f Faults
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
		d.DisallowUnknownFields()
		err := d.Decode(&f)
		if err == nil {
			err = s.SetFaults(f)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	default:
		http.NotFound(w, r)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client is gone if this fails
}
