package rangewriter

import "sync"

// maxKept is how many bytes of unused memory Buffers keeps: enough for the ranges of
// one partition that are in flight.
const maxKept = 64 << 20

// Buffers keeps the memory of stored range files for the next ones. A buffer that has
// grown to the size of a range costs nothing; a new one costs as much as writing a fifth
// of the range. Writers may share Buffers. The zero value is ready for use.
type Buffers struct {
	mu   sync.Mutex
	free [][]byte
	kept int // total capacity of free
}

// get returns a buffer, or nil if there is none.
func (b *Buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.free)
	if n == 0 {
		return nil
	}
	buf := b.free[n-1]
	b.free, b.kept = b.free[:n-1], b.kept-cap(buf)
	return buf
}

// put takes over a buffer that is no longer used.
func (b *Buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if buf == nil || b.kept+cap(buf) > maxKept {
		return
	}
	b.free, b.kept = append(b.free, buf), b.kept+cap(buf)
}
