package rangewriter

import "sync"

// Buffers keeps the memory of range files that are stored for the next ones: a
// buffer that has grown to the size of a range costs nothing, a new one as much
// as writing a fifth of the range. Writers may share it. The zero value is ready
// for use, and what is not used for a while is given back.
type Buffers struct{ pool sync.Pool }

// get returns a buffer, or nil if there is none.
func (b *Buffers) get() []byte {
	buf, ok := b.pool.Get().(*[]byte)
	if !ok {
		return nil
	}
	return *buf
}

// put takes over a buffer that nobody uses any more.
func (b *Buffers) put(buf []byte) {
	if buf != nil {
		b.pool.Put(&buf)
	}
}
