package partition

import "sync/atomic"

// Owned is what a worker owns of a partition that it lists: the keys in
// (A(After), A(Upto)]. It narrows a listing that starts after the partition's After to
// these keys. It also is the one place that says where the partition ends, which
// cuts bring nearer. It is for one goroutine; only Upto may be called concurrently.
type Owned struct {
	importID string
	breaks   Breaks
	upto     atomic.Pointer[string] // where the partition ends; never nil
	aligned  bool                   // upto is a range boundary
	dropping bool                   // A(After) has not been listed yet
	start    string                 // A(After), once that is known
}

// Owned returns what is owned of p before anything of it is listed.
func (p Partition) Owned(breaks Breaks) *Owned {
	o := &Owned{importID: p.ImportID, breaks: breaks, aligned: p.UptoAligned, dropping: !p.Aligned, start: p.After}
	o.upto.Store(&p.Upto)
	return o
}

// Start returns A(After), the boundary at which the owned keys start, once it
// is known.
func (o *Owned) Start() (boundary string, known bool) { return o.start, !o.dropping }

// Upto returns where the partition ends, as of the last Cut. It may be called
// concurrently with all other methods.
func (o *Owned) Upto() string { return *o.upto.Load() }

// End returns the cover of what follows the boundary `at`, where the listing came to
// its end and no range is open. If the partition ends at a known boundary, the cover
// holds nothing up to there: the boundary's key is gone, too. Otherwise the cover
// claims the end: no key follows, as far as this partition can tell.
func (o *Owned) End(at string) Cover {
	c := Cover{Span: Span{After: at}}
	if o.aligned {
		c.Upto = o.Upto()
	} else {
		c.Beyond = o.Upto()
	}
	return c
}

// Boundary returns the boundary at which the partition ends, if it is known.
func (o *Owned) Boundary() (boundary string, known bool) { return o.Upto(), o.aligned }

// EndsWith reports whether the partition ends with a range whose last key is
// last. Only a partition whose end is a known boundary does.
func (o *Owned) EndsWith(last []byte) bool {
	return o.aligned && string(last) >= o.Upto()
}

// Rest returns the partition that would take the keys after a range boundary that
// the listing has come to, and whether any are left.
func (o *Owned) Rest(boundary string) (rest Partition, left bool) {
	rest = New(o.importID, Span{After: boundary, Upto: o.Upto()}, true, o.aligned)
	return rest, !rest.endsAt(boundary, o.breaks)
}

// Pieces returns the partitions that would take the keys after A(cuts[0]), each
// up to where the next one starts. The cuts increase strictly and lie before
// Upto.
func (o *Owned) Pieces(cuts []string) []Partition {
	pieces := make([]Partition, len(cuts))
	for i, cut := range cuts {
		span, aligned := Span{After: cut, Upto: o.Upto()}, o.aligned
		if i+1 < len(cuts) {
			span.Upto, aligned = cuts[i+1], false
		}
		pieces[i] = New(o.importID, span, false, aligned)
	}
	return pieces
}

// Cut gives the keys after A(upto) away. The caller has made sure that upto
// lies after every key taken so far and before the present Upto, and that all
// Pieces are queued: the keys of a piece that is lost would be a gap.
func (o *Owned) Cut(upto string) {
	o.upto.Store(&upto)
	o.aligned = false
}

// Take takes the next n keys of the listing, where key(i) is the i-th, and
// returns those that are owned as [from, to). If end is true, no later key is
// owned: if a range is open after key to-1, it ends there. A partition that ends at
// a known boundary ends with a range instead; see EndsWith.
func (o *Owned) Take(n int, key func(int) []byte) (from, to int, end bool) {
	upto := o.Upto()
	for o.dropping {
		if from == n {
			return n, n, false
		}
		k := key(from)
		if upto != "" && string(k) > upto {
			return from, from, true
		}
		if from++; o.breaks.Anchor(k) {
			o.dropping, o.start = false, string(k)
		}
	}
	if upto == "" || o.aligned || n == 0 || string(key(n-1)) <= upto {
		return from, n, false
	}
	for i := from; i < n; i++ {
		if k := key(i); string(k) > upto && o.breaks.Anchor(k) {
			return from, i + 1, true
		}
	}
	return from, n, false
}
