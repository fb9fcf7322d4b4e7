package keyspace

// Pairs is which bytes were seen to follow which, at each offset: after a 2 the
// hours of a day go to 3 only. The zero Pairs has seen nothing. It is for one
// goroutine, and refers to no key that it was shown.
type Pairs struct {
	at map[uint32]follow // by offset and the byte before
}

type follow struct {
	seen int32
	max  byte
}

// sure is how often a byte must be seen before it is known what follows it, and
// maxPairs bounds what is remembered.
const sure, maxPairs = 4, 1 << 14

// Add learns from keys of one page, in increasing order. What follows a byte has
// been seen to its end where the next key begins otherwise.
func (p *Pairs) Add(keys []string) {
	if p.at == nil {
		p.at = map[uint32]follow{}
	}
	for j, k := range keys[:len(keys)-1] {
		end := Common(k, keys[j+1])
		for i := max(1, end); i < len(k); i++ {
			pair := uint32(i)<<8 | uint32(k[i-1])
			f, ok := p.at[pair]
			if !ok && len(p.at) == maxPairs {
				return
			}
			if i > end {
				f.seen++
			}
			f.max = max(f.max, k[i])
			p.at[pair] = f
		}
	}
}

// Clip returns key, cut off behind the first of the two bytes from an offset on
// that is greater than all that were seen often enough to follow the one before;
// that byte becomes the greatest of them.
func (p *Pairs) Clip(key string, from int) string {
	for i := max(1, from); i < min(from+2, len(key)); i++ {
		if f := p.at[uint32(i)<<8|uint32(key[i-1])]; f.seen >= sure && key[i] > f.max {
			return Valid(append([]byte(key[:i]), f.max))
		}
	}
	return key
}
