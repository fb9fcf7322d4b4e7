package keyspace

import "slices"

// Hull is the bytes that keys were seen to have at each offset. It counts where
// they were seen after enough different beginnings of keys: one directory tells
// nothing of where another one ends. The zero Hull has seen nothing. It is for one
// goroutine, and refers to no key that it was shown.
type Hull struct {
	at []seen // by offset
}

type seen struct {
	bytes byteSet
	same  int      // keys since there was a byte that was new
	after []uint32 // hashes of the beginnings, until they are evidence
	want  int      // of them, if more than enough
}

// enough is how many beginnings of keys are evidence, and few how many bytes
// after them are all that there are: names that come again in each directory. Each time
// that a byte is found which should not be there, twice as many are wanted, up to most.
const enough, few, most = 2, 4, 32

// known reports whether the bytes are taken to be all that there are.
func (s *seen) known() bool { return len(s.after) >= max(enough, s.want) }

// Add learns from keys of one page, in increasing order. A beginning counts once the page
// goes on to another: what follows it has been seen to its end. It reports whether
// a byte is new where all were thought to be known.
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

// often is how many keys for each byte that was seen at an offset show, one after another,
// that there are no others between them.
const often = 8

// Narrow takes from the alphabet what was never seen at its offsets, and what lies between
// bytes that were only if the keys since the last new one would have shown it.
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
