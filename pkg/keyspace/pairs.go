package keyspace

// Pairs is the greatest byte that was seen to follow each byte, at each offset: after a 2 the
// hours of a day go up to 3 only. The zero Pairs has seen nothing. It is for one
// goroutine, and keeps no key that it was shown.
type Pairs struct {
	at []*[256]follow // by offset, and then by the byte before; nil where nothing was seen
}

type follow struct {
	seen byte // up to sure
	max  byte
}

// sure is how often a byte must be seen before it is known what follows it, and maxPaired is
// the offset from which on nothing is remembered. Both are chosen.
const sure, maxPaired = 4, 1 << 10

// Add learns from keys of one page, in increasing order. All that follows a byte has been seen
// once the next key differs before it.
func (p *Pairs) Add(keys []string) {
	for j, k := range keys[:len(keys)-1] {
		end := Common(k, keys[j+1])
		k = k[:min(len(k), maxPaired)]
		for len(p.at) < len(k) {
			p.at = append(p.at, nil)
		}
		for i := max(1, end); i < len(k); i++ {
			if p.at[i] == nil {
				p.at[i] = new([256]follow)
			}
			f := &p.at[i][k[i-1]]
			if i > end && f.seen < sure {
				f.seen++
			}
			f.max = max(f.max, k[i])
		}
	}
}

// Clip returns key with a byte that was never seen to follow the one before replaced by the
// greatest that was, and cut off behind it. It looks at two bytes, from an offset on, and
// only where enough was seen.
func (p *Pairs) Clip(key string, from int) string {
	for i := max(1, from); i < min(from+2, len(key), len(p.at)); i++ {
		if p.at[i] == nil {
			continue
		}
		if f := p.at[i][key[i-1]]; f.seen == sure && key[i] > f.max {
			return Valid(append([]byte(key[:i]), f.max))
		}
	}
	return key
}
