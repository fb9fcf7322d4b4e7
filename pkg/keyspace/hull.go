package keyspace

import "slices"

// Hull is the bytes that keys were seen to have at each offset. They are taken for all that
// there are once they were seen after enough different beginnings of keys: one directory
// says nothing of where another one ends. The zero Hull has seen nothing. It is for one
// goroutine, and keeps no key that it was shown.
type Hull struct {
	at []seen // by offset
}

type seen struct {
	bytes byteSet
	same  int      // keys since the last new byte
	after []uint32 // hashes of the beginnings, until there are enough
	want  int      // how many are enough, if that is more than the constant
}

// enough is how many beginnings of keys are evidence. Up to few bytes behind them are taken
// for names that come again in each directory, more for digits of a range. Each time that a
// byte is found that should not be there, twice as many beginnings are wanted, up to most:
// the listing of 4M keys of one large directory behind small ones by 8 workers took 18.3 s
// instead of 20.0 to 22.2.
const enough, few, most = 2, 4, 32

// known reports whether the bytes are taken for all that there are.
func (s *seen) known() bool { return len(s.after) >= max(enough, s.want) }

// Add learns from keys of one page, in increasing order. A beginning counts once the page goes
// on to the next one, for then all that follows it has been seen. Add reports whether a byte
// is new at an offset where all bytes were thought to be known.
func (h *Hull) Add(keys []string) (news bool) {
	for j, k := range keys {
		for len(h.at) < len(k) {
			h.at = append(h.at, seen{})
		}
		ends := len(k)
		if j+1 < len(keys) {
			ends = Common(k, keys[j+1])
		}
		hash := uint32(2166136261) // FNV-1a
		for i := range len(k) {
			o := &h.at[i]
			if o.same++; !o.bytes.has(k[i]) {
				if o.known() && !o.covers(k[i]) {
					news = true
					o.want = min(most, 2*max(enough, o.want))
				}
				o.bytes.add(k[i])
				o.same = 0
			}
			if i > ends && !o.known() && !slices.Contains(o.after, hash) {
				o.after = append(o.after, hash)
			}
			hash = (hash ^ uint32(k[i])) * 16777619
		}
	}
	return news
}

// covers reports whether c is one of the bytes that Narrow leaves.
func (s *seen) covers(c byte) bool {
	if n := s.bytes.size(); n > few {
		return s.bytes.at(0) <= c && c <= s.bytes.at(n-1)
	}
	return s.bytes.has(c)
}

// often is how many keys in a row, for each byte that was seen at an offset, show that there
// are no other bytes between these. LISTs beyond the minimum, of a million keys: base64 9.8 ->
// 6.5 %, ulid 8.3 -> 7.1 %, the signs of base64 included.
const often = 8

// Narrow removes from the alphabet the bytes that were never seen at their offsets. Bytes that
// lie between others that were seen are removed only if the keys since the last new byte
// would have shown them.
func (h *Hull) Narrow(a *Alphabet) {
	for i := range a.sets {
		if at := a.base + i; at < len(h.at) && h.at[at].known() {
			seen := h.at[at].bytes
			if n := seen.size(); n > few && h.at[at].same < often*n {
				seen = span(seen.at(0), seen.at(n-1))
			}
			a.sets[i].intersect(&seen)
		}
	}
	a.weigh()
}
