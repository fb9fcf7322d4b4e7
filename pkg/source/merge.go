package source

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"

	"github.com/rangefleet/rangefleet/pkg/entry"
)

// Sizes of batches, in entries.
const (
	sliceEntries = 256  // a run of at least this length of one stream is not copied
	batchEntries = 1000 // shorter runs are gathered into batches of this length
)

// merger merges streams by key.
type merger struct {
	streams streamHeap
	yield   func(entry.Batch, error) bool
	out     *entry.Builder // short runs, not yet handed over
	last    []byte         // the last key that was taken; empty before the first
}

// run yields all batches, and an error last.
func (m *merger) run(ctx context.Context) {
	m.out = entry.NewBuilder()
	defer func() {
		for _, s := range m.streams {
			s.batch.Release()
		}
	}()
	heap.Init(&m.streams)
	for len(m.streams) > 0 {
		more, err := m.step(ctx)
		if err != nil {
			if m.flush() {
				m.yield(entry.Batch{}, err)
			}
			return
		}
		if !more {
			return
		}
	}
	m.flush()
}

// step opens the first stream, skips its head if that key was taken from another stream, or
// takes the entries that it has before any other. It returns false when the consumer stops.
func (m *merger) step(ctx context.Context) (bool, error) {
	s, n := m.streams[0], 0
	switch {
	case !s.opened():
		s.open(ctx)
	case bytes.Equal(s.head, m.last):
		n = 1
	default:
		if n = m.ahead(s); !m.take(s, n) {
			return false, nil
		}
	}
	more, err := s.skip(n)
	if err != nil {
		return false, err
	}
	if more {
		heap.Fix(&m.streams, 0)
	} else {
		heap.Pop(&m.streams)
	}
	return true, nil
}

// ahead returns how many entries of the first stream come before the head of any
// other: at least one, for of equal keys the winner's stream is first.
func (m *merger) ahead(s *stream) int {
	n := s.batch.Len() - s.pos
	for _, other := range m.streams[1:min(3, len(m.streams))] { // the heap's next is a child of its first
		n = min(n, s.before(other.head))
	}
	return max(1, n)
}

// take hands over, or gathers, n entries of s.
func (m *merger) take(s *stream, n int) bool {
	m.last = append(m.last[:0], s.batch.Key(s.pos+n-1)...)
	if n >= sliceEntries {
		return m.flush() && m.hand(s.batch.Slice(s.pos, s.pos+n))
	}
	for i := s.pos; i < s.pos+n; i++ {
		b := s.batch
		m.out.Append(b.Key(i), b.Address(i), b.ETag(i), b.Size(i), b.ModTime(i))
	}
	return m.out.Len() < batchEntries || m.flush()
}

// flush hands over what was gathered.
func (m *merger) flush() bool { return m.out.Len() == 0 || m.hand(m.out.Batch()) }

func (m *merger) hand(b entry.Batch) bool {
	defer b.Release()
	return m.yield(b, nil)
}

// streamHeap is a heap of streams by head. Of equal heads, a stream that is not
// open comes first, for it may hold that very key; then the higher rank.
type streamHeap []*stream

func (h streamHeap) Len() int      { return len(h) }
func (h streamHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h streamHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if c := bytes.Compare(a.head, b.head); c != 0 {
		return c < 0
	}
	if a.opened() != b.opened() {
		return !a.opened()
	}
	return cmp.Compare(a.rank, b.rank) > 0
}
func (h *streamHeap) Push(x any) { *h = append(*h, x.(*stream)) }
func (h *streamHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}
