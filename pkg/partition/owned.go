package partition

// Owned narrows a listing that starts after a partition's After to the keys
// that the partition owns: (A(After), A(Upto)]. It is for one goroutine.
type Owned struct {
	p        Partition
	breaks   Breaks
	dropping bool // A(After) has not been met yet
	start    string
}

// Owned returns the narrowing of a listing to p.
func (p Partition) Owned(breaks Breaks) *Owned {
	return &Owned{p: p, breaks: breaks, dropping: !p.Aligned, start: p.After}
}

// Start returns A(After), the boundary at which the owned keys start, once it
// is known.
func (o *Owned) Start() (boundary string, known bool) { return o.start, !o.dropping }

// Upto returns where the partition ends, as of the last Cut.
func (o *Owned) Upto() string { return o.p.Upto }

// End returns the cover that the partition has after the boundary `at`, where its
// listing came to an end and no range is open. One that ends at a known boundary
// holds nothing up to there: the boundary's key, too, must be gone. Else no key
// follows, as far as this partition can tell.
func (o *Owned) End(at string) Cover {
	c := Cover{Span: Span{After: at}}
	if o.p.UptoAligned {
		c.Upto = o.p.Upto
	} else {
		c.Beyond = o.p.Upto
	}
	return c
}

// Boundary returns the boundary at which the partition ends, if it is known.
func (o *Owned) Boundary() (boundary string, known bool) { return o.p.Upto, o.p.UptoAligned }

// EndsWith reports whether the partition ends with a range whose last key is
// last. Only one whose Upto is aligned does.
func (o *Owned) EndsWith(last []byte) bool {
	return o.p.UptoAligned && string(last) >= o.p.Upto
}

// Pieces returns the partitions that would take the keys after A(cuts[0]), each
// up to where the next one starts. The cuts increase strictly and lie before the
// present Upto.
func (o *Owned) Pieces(cuts []string) []Partition {
	pieces := make([]Partition, len(cuts))
	for i, cut := range cuts {
		span, aligned := Span{After: cut, Upto: o.p.Upto}, o.p.UptoAligned
		if i+1 < len(cuts) {
			span.Upto, aligned = cuts[i+1], false
		}
		pieces[i] = New(o.p.ImportID, span, false, aligned)
	}
	return pieces
}

// Cut gives the keys after A(upto) away. The caller has made sure that upto
// lies after every key taken so far and before the present Upto, and that
// somebody else has all the Pieces: the keys of one that is lost would be a gap.
func (o *Owned) Cut(upto string) { o.p = o.p.Cut(upto) }

// Take takes the next n keys of the listing, of which key(i) is the i-th, and
// returns those that are owned as [from, to), from 0 on. If end is true, no
// later key is owned: the range that is open after key to-1, if one is, ends
// there. A partition whose Upto is aligned ends with a range instead; see
// EndsWith.
func (o *Owned) Take(n int, key func(int) []byte) (from, to int, end bool) {
	for o.dropping {
		if from == n {
			return n, n, false
		}
		k := key(from)
		if o.p.Upto != "" && string(k) > o.p.Upto {
			return from, from, true
		}
		if from++; o.breaks.Anchor(k) {
			o.dropping, o.start = false, string(k)
		}
	}
	if o.p.Upto == "" || o.p.UptoAligned || n == 0 || string(key(n-1)) <= o.p.Upto {
		return from, n, false
	}
	for i := from; i < n; i++ {
		if k := key(i); string(k) > o.p.Upto && o.breaks.Anchor(k) {
			return from, i + 1, true
		}
	}
	return from, n, false
}
