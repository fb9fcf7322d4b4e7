package tablecache

import (
	"container/list"
	"sync"
)

// perChunk is about how many bytes of memory a chunk takes besides its data.
const perChunk = 512

// lru keeps the chunks used last, within a number of bytes. It may be used concurrently.
type lru struct {
	limit int64

	mu    sync.Mutex
	bytes int64      // of all chunks
	order *list.List // of *kept; the one used last is at the front
	byKey map[key]*list.Element
}

type kept struct {
	key   key
	chunk chunk
}

func (k *kept) bytes() int64 { return int64(cap(k.chunk.data)) + perChunk }

func newLRU(limit int64) *lru {
	return &lru{limit: limit, order: list.New(), byKey: make(map[key]*list.Element)}
}

// get returns a chunk, if it is cached.
func (l *lru) get(k key) (chunk, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.byKey[k]
	if !ok {
		return chunk{}, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*kept).chunk, true
}

// put adds a chunk, drops those that were unused for longest, and returns the bytes of all
// chunks.
func (l *lru) put(k key, c chunk) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(k)
	added := &kept{key: k, chunk: c}
	l.byKey[k] = l.order.PushFront(added)
	l.bytes += added.bytes()
	for l.bytes > l.limit && l.order.Len() > 0 {
		l.remove(l.order.Back().Value.(*kept).key)
	}
	return l.bytes
}

// drop removes a chunk.
func (l *lru) drop(k key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(k)
}

func (l *lru) remove(k key) {
	if e, ok := l.byKey[k]; ok {
		l.order.Remove(e)
		delete(l.byKey, k)
		l.bytes -= e.Value.(*kept).bytes()
	}
}
