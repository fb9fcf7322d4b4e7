package rangewriter

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Sizes in bytes. A file begins in a buffer that is enough for most files, and moves to a
// larger one when it has filled its own.
const (
	firstBuffer = 8 << 20
	bufferRoom  = 512 << 10 // a file with less room moves before more entries are added

	defaultLimit = 72 << 20
	maxKept      = 32 << 20 // of buffers that no file uses
)

// Buffers is the memory of a process for range files, which all of its writers share: open
// files, those on their way to the store, and free buffers for the next ones. A buffer is
// used again, as new memory takes as long to make as a fifth of a range to write. The zero
// value is ready for use. It is safe for concurrent use.
type Buffers struct {
	// Limit is how many bytes files may use; 0 is 72 MiB. Beyond it, a writer that
	// begins a file waits while any of its own files is on its way to the store. So
	// each writer may have one file, and no writer waits for the store of another one:
	// a store that hangs blocks only its own writers. An open file grows without
	// waiting, and may exceed the limit for a while.
	Limit int

	mu    sync.Mutex
	free  [][]byte      // smallest first
	kept  int           // capacity of the free ones
	used  atomic.Int64  // what files and others use; it is changed under mu
	freed chan struct{} // closed when memory is freed; nil if nobody waits
}

// memory is what a file uses of Buffers: the bytes of its buffer as it was taken. It is 0
// where there is no file.
type memory int

// begin returns a buffer for a new file of a writer, unless ctx has ended. It waits for
// memory until ctx ends, or until alone reports that the writer has no other file. The
// caller frees memory after alone has changed.
func (b *Buffers) begin(ctx context.Context, alone func() bool) ([]byte, memory, error) {
	for ctx.Err() == nil {
		buf, m, freed := b.tryBegin(alone)
		if freed == nil {
			return buf, m, nil
		}
		select {
		case <-ctx.Done():
		case <-freed:
		}
	}
	return nil, 0, context.Cause(ctx)
}

// tryBegin returns a buffer for a new file, or a channel that is closed when memory is
// freed.
func (b *Buffers) tryBegin(alone func() bool) ([]byte, memory, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if int(b.used.Load())+firstBuffer > b.limit() && !alone() {
		if b.freed == nil {
			b.freed = make(chan struct{})
		}
		return nil, 0, b.freed
	}
	buf, m := b.take(firstBuffer)
	return buf, m, nil
}

// grow returns a larger buffer for a file, of size bytes, and what the file uses with it.
// The file's old buffer, which it no longer counts as used, is to be returned to end.
func (b *Buffers) grow(size int, m memory) ([]byte, memory) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used.Add(-int64(m))
	return b.take(size)
}

// take returns a free buffer of size bytes, or a new one. The caller holds the lock.
func (b *Buffers) take(size int) ([]byte, memory) {
	var buf []byte
	i := slices.IndexFunc(b.free, func(f []byte) bool { return cap(f) >= size })
	if i >= 0 && cap(b.free[i]) < 2*size {
		buf = b.free[i]
		b.free = slices.Delete(b.free, i, i+1)
		b.kept -= cap(buf)
	} else {
		buf = make([]byte, 0, size)
	}
	b.used.Add(int64(cap(buf)))
	b.trim()
	return buf, memory(cap(buf))
}

// end takes back the buffer of a file that is stored or dropped, or one that a file has
// left.
func (b *Buffers) end(buf []byte, m memory) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used.Add(-int64(m))
	if cap(buf) > 0 {
		i, _ := slices.BinarySearchFunc(b.free, cap(buf), func(f []byte, n int) int { return cap(f) - n })
		b.free = slices.Insert(b.free, i, buf)
		b.kept += cap(buf)
	}
	b.trim()
	b.wake()
}

// trim drops free buffers, the largest first, beyond what may be kept. The caller holds
// the lock.
func (b *Buffers) trim() {
	most := min(maxKept, max(0, b.limit()-int(b.used.Load())))
	for n := len(b.free); n > 0 && b.kept > most; n-- {
		b.kept -= cap(b.free[n-1])
		b.free[n-1] = nil
		b.free = b.free[:n-1]
	}
}

// Hold counts n bytes that something else than range files uses against the limit, or
// returns them if n is negative. It never waits.
func (b *Buffers) Hold(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used.Add(int64(n))
	b.trim()
	if n < 0 {
		b.wake()
	}
}

// Used returns how many bytes files and others use now. It never waits.
func (b *Buffers) Used() int64 { return b.used.Load() }

// Size returns how many bytes they may use.
func (b *Buffers) Size() int { return b.limit() }

// wake lets writers that wait for memory look again. The caller holds the lock.
func (b *Buffers) wake() {
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

func (b *Buffers) limit() int { return cmp.Or(b.Limit, defaultLimit) }
