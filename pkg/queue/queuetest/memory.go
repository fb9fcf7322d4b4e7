package queuetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/queue"
)

// MemoryKV is a queue.KV in the memory of this process. The zero value is
// empty and ready.
type MemoryKV struct {
	mu       sync.Mutex
	revision uint64
	values   map[string]memoryValue
	watchers map[string][]chan struct{}
}

type memoryValue struct {
	data     []byte
	revision uint64
}

var _ queue.KV = (*MemoryKV)(nil)

// Get implements queue.KV.
func (m *MemoryKV) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return nil, 0, err
	}
	v, ok := m.values[key]
	if !ok {
		return nil, 0, fmt.Errorf("read %s: %w", key, queue.ErrNotFound)
	}
	return bytes.Clone(v.data), v.revision, nil
}

// Latest implements queue.KV.
func (m *MemoryKV) Latest(ctx context.Context, key string) ([]byte, uint64, error) {
	return m.Get(ctx, key)
}

// Create implements queue.KV.
func (m *MemoryKV) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return m.write(ctx, key, value, func(now uint64) bool { return now == 0 })
}

// Update implements queue.KV.
func (m *MemoryKV) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return m.write(ctx, key, value, func(now uint64) bool { return now != 0 && now == revision })
}

// Delete implements queue.KV.
func (m *MemoryKV) Delete(ctx context.Context, key string, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return err
	}
	if v, ok := m.values[key]; !ok || v.revision != revision {
		return fmt.Errorf("delete %s: %w", key, queue.ErrConflict)
	}
	delete(m.values, key)
	m.tick(key)
	return nil
}

// Purge implements queue.KV.
func (m *MemoryKV) Purge(ctx context.Context, prefix string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, ok := strings.CutSuffix(prefix, ".")
	if !ok {
		return fmt.Errorf("purge: %q is no valid prefix", prefix)
	}
	if err := m.check(ctx, name); err != nil {
		return err
	}
	for key := range m.values {
		if strings.HasPrefix(key, prefix) {
			delete(m.values, key)
			m.tick(key)
		}
	}
	return nil
}

// Keys implements queue.KV.
func (m *MemoryKV) Keys(ctx context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys := []string{}
	for key := range m.values {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Watch implements queue.KV.
func (m *MemoryKV) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return nil, err
	}
	ticks := make(chan struct{}, 1)
	if m.watchers == nil {
		m.watchers = make(map[string][]chan struct{})
	}
	m.watchers[key] = append(m.watchers[key], ticks)
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watchers[key] = slices.DeleteFunc(m.watchers[key], func(c chan struct{}) bool { return c == ticks })
	})
	return ticks, nil
}

func (m *MemoryKV) write(ctx context.Context, key string, value []byte, allowed func(now uint64) bool) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return 0, err
	}
	if !allowed(m.values[key].revision) {
		return 0, fmt.Errorf("write %s: %w", key, queue.ErrConflict)
	}
	if m.values == nil {
		m.values = make(map[string]memoryValue)
	}
	m.revision++
	m.values[key] = memoryValue{data: bytes.Clone(value), revision: m.revision}
	m.tick(key)
	return m.revision, nil
}

func (m *MemoryKV) check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return queue.CheckKey(key)
}

func (m *MemoryKV) tick(key string) {
	for _, ticks := range m.watchers[key] {
		select {
		case ticks <- struct{}{}:
		default:
		}
	}
}
