package synths3

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Faults are the faults that a server injects. The zero value injects none.
type Faults struct {
	Seed    uint64 `json:"seed"`    // decides which calls meet which faults
	List    Call   `json:"list"`    // for LIST calls
	Objects Call   `json:"objects"` // for all other calls
	Stall   Stall  `json:"stall"`

	Quirks     []Quirk `json:"quirks,omitempty"`
	QuirkShare float64 `json:"quirk_share,omitempty"` // share of pages that have the quirks; 0 means all
}

// Call is the latency and the faults of calls. Shares are of all calls, between 0 and 1.
type Call struct {
	Latency  Latency `json:"latency"`
	SlowDown float64 `json:"slow_down"` // share answered 503 SlowDown, at once
	Reset    float64 `json:"reset"`     // share whose connection is reset: half of them before the work is done, half after
	Cut      float64 `json:"cut"`       // share whose response body is cut short, if there is one

	MaxInFlight int64   `json:"max_in_flight"` // further calls are answered 503 SlowDown; 0 means no limit
	MaxRate     float64 `json:"max_rate"`      // calls per second, with bursts of one second's calls; further ones are answered 503
}

// Latency is the time that a call waits before it is served. It is evenly distributed in
// [Base-Spread, Base+Spread]. A share of Tail of the calls waits for an additional time, which
// is exponentially distributed with mean TailMean.
type Latency struct {
	Base     Duration `json:"base"`
	Spread   Duration `json:"spread"`
	Tail     float64  `json:"tail"`
	TailMean Duration `json:"tail_mean"`
}

// Stall makes every page that lists a certain key take long. Real stores do so if they have
// to skip millions of delete markers.
type Stall struct {
	Index int64    `json:"index"` // of the key
	For   Duration `json:"for"`   // 0: no page stalls
}

// Duration is a time.Duration that is encoded like "1m30s".
type Duration struct{ time.Duration }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// Validate returns an error that names all invalid fields.
func (f Faults) Validate() error {
	var errs []error
	for name, share := range map[string]float64{
		"list.slow_down": f.List.SlowDown, "list.reset": f.List.Reset, "list.cut": f.List.Cut, "list.latency.tail": f.List.Latency.Tail,
		"objects.slow_down": f.Objects.SlowDown, "objects.reset": f.Objects.Reset, "objects.cut": f.Objects.Cut,
		"objects.latency.tail": f.Objects.Latency.Tail, "quirk_share": f.QuirkShare,
	} {
		if !(share >= 0 && share <= 1) {
			errs = append(errs, fmt.Errorf("%s is %v: want a share between 0 and 1", name, share))
		}
	}
	for _, q := range f.Quirks {
		if !slices.Contains(Quirks(), q) {
			errs = append(errs, fmt.Errorf("unknown quirk %q, want some of %v", q, Quirks()))
		}
	}
	return errors.Join(errs...)
}

// faults are Faults with their state.
type faults struct {
	Faults
	quirks  quirks
	drawn   atomic.Uint64
	buckets [2]allowance // for LIST calls, and for all other calls
}

// SetFaults replaces the faults. They apply from the next call on.
func (s *Server) SetFaults(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	now := s.cfg.Now()
	s.faults.Store(&faults{
		Faults: f, quirks: setOf(f.Quirks),
		buckets: [2]allowance{{left: f.List.MaxRate, at: now}, {left: f.Objects.MaxRate, at: now}},
	})
	return nil
}

// allowance is a token bucket.
type allowance struct {
	mu   sync.Mutex
	left float64
	at   time.Time
}

func (a *allowance) take(rate float64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.left = min(rate, a.left+rate*now.Sub(a.at).Seconds())
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// random returns the random source for one call.
func (f *faults) random() *rand.Rand { return rand.New(rand.NewPCG(f.Seed, f.drawn.Add(1))) }

func (l Latency) draw(r *rand.Rand) time.Duration {
	d := l.Base.Duration + time.Duration((2*r.Float64()-1)*float64(l.Spread.Duration))
	if r.Float64() < l.Tail {
		d += time.Duration(r.ExpFloat64() * float64(l.TailMean.Duration))
	}
	return d
}

// inject serves the call with serve, and injects faults before, during or after it.
func (s *Server) inject(w http.ResponseWriter, r *http.Request, op op, serve func(http.ResponseWriter, *faults)) {
	f := s.faults.Load()
	call, kind := f.Objects, 1
	if op == opList {
		call, kind = f.List, 0
	}
	rnd := f.random()
	reset, late := rnd.Float64() < call.Reset, rnd.Float64() < 0.5
	slow, cut := rnd.Float64() < call.SlowDown, rnd.Float64() < call.Cut
	switch {
	case reset && !late:
		s.reset(w)
		return
	case slow,
		call.MaxInFlight > 0 && s.counters.inFlight[kind].Load() > call.MaxInFlight,
		call.MaxRate > 0 && !f.buckets[kind].take(call.MaxRate, s.cfg.Now()):
		s.counters.slowDowns.Add(1)
		s.refuse(w, r, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
		return
	}
	if d := call.Latency.draw(rnd); d > 0 && s.cfg.Wait(r.Context(), d) != nil {
		return
	}
	if reset {
		serve(discard{w.Header()}, f)
		s.reset(w)
		return
	}
	out := &writer{ResponseWriter: w, cut: cut}
	serve(out, f)
	s.counters.bytesOut.Add(out.written)
	if out.cutOff {
		s.counters.cuts.Add(1)
		_ = http.NewResponseController(w).Flush() // the client may be gone
		panic(http.ErrAbortHandler)
	}
}

// reset closes the connection with a reset, as after a crash of the server.
func (s *Server) reset(w http.ResponseWriter) {
	s.counters.resets.Add(1)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or a recorder
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // if this fails, the connection is closed without a reset
	}
	_ = conn.Close()
}

// discard is a response writer that discards everything.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// writer counts the bytes of an answer, and drops its second half if cut is set.
type writer struct {
	http.ResponseWriter
	cut, cutOff bool
	written     int64
}

func (w *writer) Write(b []byte) (int, error) {
	part := b
	if w.cutOff {
		part = nil
	} else if w.cut && len(b) > 1 {
		part, w.cutOff = b[:len(b)/2], true
		if w.Header().Get("Content-Length") == "" {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		}
	}
	n, err := w.ResponseWriter.Write(part)
	w.written += int64(n)
	if err != nil {
		return n, err
	}
	return len(b), nil
}

// stalls reports whether the page stalls.
func (f *faults) stalls(p *page) bool {
	if f.Stall.For.Duration == 0 || len(p.items) == 0 {
		return false
	}
	first, last := p.items[0].index, p.items[len(p.items)-1].index
	return first <= f.Stall.Index && f.Stall.Index <= last
}

// ParseQuirks returns the quirks in a comma-separated list of names.
func ParseQuirks(list string) []Quirk {
	var out []Quirk
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, Quirk(name))
		}
	}
	return out
}
