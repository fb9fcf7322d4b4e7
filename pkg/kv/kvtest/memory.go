// Package kvtest is a key-value bucket in memory, for tests.
package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Memory is a kv.Bucket in the memory of this process. The zero value is empty and
// ready.
type Memory struct {
	mu       sync.Mutex
	revision uint64
	values   map[string]memoryValue
	watchers map[string][]chan struct{}
}

type memoryValue struct {
	data     []byte
	revision uint64
}

var _ kv.Bucket = (*Memory)(nil)

// Get implements kv.Bucket.
func (m *Memory) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return nil, 0, err
	}
	v, ok := m.values[key]
	if !ok {
		return nil, 0, fmt.Errorf("read %s: %w", key, kv.ErrNotFound)
	}
	return bytes.Clone(v.data), v.revision, nil
}

// GetLinearized implements kv.Bucket.
func (m *Memory) GetLinearized(ctx context.Context, key string) ([]byte, uint64, error) {
	return m.Get(ctx, key)
}

// Create implements kv.Bucket.
func (m *Memory) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return m.write(ctx, key, value, func(now uint64) bool { return now == 0 })
}

// Update implements kv.Bucket.
func (m *Memory) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return m.write(ctx, key, value, func(now uint64) bool { return now != 0 && now == revision })
}

// Delete implements kv.Bucket.
func (m *Memory) Delete(ctx context.Context, key string, revision uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return err
	}
	if v, ok := m.values[key]; !ok || v.revision != revision {
		return fmt.Errorf("delete %s: %w", key, kv.ErrConflict)
	}
	delete(m.values, key)
	m.tick(key)
	return nil
}

// Purge implements kv.Bucket.
func (m *Memory) Purge(ctx context.Context, prefix string) error {
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

// Keys implements kv.Bucket.
func (m *Memory) Keys(ctx context.Context, prefix string) ([]string, error) {
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

// Watch implements kv.Bucket.
func (m *Memory) Watch(ctx context.Context, key string) (<-chan struct{}, error) {
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

func (m *Memory) write(ctx context.Context, key string, value []byte, allowed func(now uint64) bool) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, key); err != nil {
		return 0, err
	}
	if !allowed(m.values[key].revision) {
		return 0, fmt.Errorf("write %s: %w", key, kv.ErrConflict)
	}
	if m.values == nil {
		m.values = make(map[string]memoryValue)
	}
	m.revision++
	m.values[key] = memoryValue{data: bytes.Clone(value), revision: m.revision}
	m.tick(key)
	return m.revision, nil
}

func (m *Memory) check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return kv.CheckKey(key)
}

func (m *Memory) tick(key string) {
	for _, ticks := range m.watchers[key] {
		select {
		case ticks <- struct{}{}:
		default:
		}
	}
}
