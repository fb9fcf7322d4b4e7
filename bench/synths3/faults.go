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

// Faults is what goes wrong. The zero value is a store without faults.
type Faults struct {
	Seed    uint64 `json:"seed"`    // of what befalls which call
	List    Call   `json:"list"`    // what befalls LIST calls
	Objects Call   `json:"objects"` // what befalls all other calls
	Stall   Stall  `json:"stall"`

	Quirks     []Quirk `json:"quirks,omitempty"`
	QuirkShare float64 `json:"quirk_share,omitempty"` // of pages that have the quirks; 0 is all
}

// Call is what befalls calls. Shares are between 0 and 1, each of all calls.
type Call struct {
	Latency  Latency `json:"latency"`
	SlowDown float64 `json:"slow_down"` // share answered 503 SlowDown, at once
	Reset    float64 `json:"reset"`     // share whose connection is reset: half before, half after the work is done
	Cut      float64 `json:"cut"`       // share whose body ends in the middle; of those without a body, none

	MaxInFlight int64   `json:"max_in_flight"` // calls beyond are answered 503 SlowDown; 0 is no limit
	MaxRate     float64 `json:"max_rate"`      // calls per second, likewise; one second's worth may come at once
}

// Latency is how long a call waits before it is worked on: Base, evenly more or
// less by up to Spread, and for a share of Tail of the calls longer, by TailMean
// on average and now and then by many times that (exponentially distributed).
type Latency struct {
	Base     Duration `json:"base"`
	Spread   Duration `json:"spread"`
	Tail     float64  `json:"tail"`
	TailMean Duration `json:"tail_mean"`
}

// Stall makes every page that lists a certain key take long, as one does for
// which a store must skip millions of delete markers.
type Stall struct {
	Index int64    `json:"index"` // of the key
	For   Duration `json:"for"`   // 0: no page stalls
}

// Duration is a time.Duration that is "1m30s" in JSON.
type Duration struct{ time.Duration }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// Validate names everything in f that cannot be.
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
			errs = append(errs, fmt.Errorf("no quirk is called %q: want some of %v", q, Quirks()))
		}
	}
	return errors.Join(errs...)
}

// faults are Faults at work.
type faults struct {
	Faults
	quirks  quirks
	drawn   atomic.Uint64
	buckets [2]allowance // of LIST calls, and of all other ones
}

// SetFaults replaces what goes wrong, from the next call on.
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

// allowance counts the calls that a rate still allows.
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

// random returns the source of what befalls one call.
func (f *faults) random() *rand.Rand { return rand.New(rand.NewPCG(f.Seed, f.drawn.Add(1))) }

func (l Latency) draw(r *rand.Rand) time.Duration {
	d := l.Base.Duration + time.Duration((2*r.Float64()-1)*float64(l.Spread.Duration))
	if r.Float64() < l.Tail {
		d += time.Duration(r.ExpFloat64() * float64(l.TailMean.Duration))
	}
	return d
}

// befall has serve answer the call, unless and until something goes wrong.
func (s *Server) befall(w http.ResponseWriter, r *http.Request, op op, serve func(http.ResponseWriter, *faults)) {
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
		serve(nowhere{w.Header()}, f)
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

// reset ends the connection as a peer does that crashed.
func (s *Server) reset(w http.ResponseWriter) {
	s.counters.resets.Add(1)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or a recorder
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the connection ends the same, only politely
	}
	_ = conn.Close()
}

// nowhere swallows an answer.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

// writer counts an answer, and drops its second half if it is to be cut.
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

// stalls reports whether the page is one that takes long.
func (f *faults) stalls(p *page) bool {
	if f.Stall.For.Duration == 0 || len(p.items) == 0 {
		return false
	}
	first, last := p.items[0].index, p.items[len(p.items)-1].index
	return first <= f.Stall.Index && f.Stall.Index <= last
}

// ParseQuirks returns the quirks of a list with commas.
func ParseQuirks(list string) []Quirk {
	var out []Quirk
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, Quirk(name))
		}
	}
	return out
}
