// Package recent remembers what was read of shared state, for a time so short that a change by
// another process takes effect soon.
package recent

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rangefleet/rangefleet/pkg/kv"
)

// MaxAge is how long a value is believed after it was read, and how long a read may take: a
// change takes effect in all processes within this time.
const MaxAge = 3 * time.Second

// tries is how often a read is begun that takes too long: while NATS elects a leader, some do.
const tries = 4

// Cache remembers values by key for MaxAge. Its methods may be called concurrently. Values are
// shared, and must not be changed.
type Cache[T any] struct {
	cfg     Config[T]
	flights singleflight.Group

	mu      sync.Mutex
	changes uint64 // by this process; what was read before the last one is not remembered
	known   map[string]value[T]
}

// Config is what a cache is made of. All fields are required.
type Config[T any] struct {
	Now func() time.Time
	// Read returns the value that is stored under a key at some moment since the call, or
	// kv.ErrNotFound, which is remembered, too.
	Read func(ctx context.Context, key string) (T, error)
	Most int // values that are remembered
}

// value is what a read returned: a value, or kv.ErrNotFound.
type value[T any] struct {
	v   T
	err error
	at  time.Time // when the read began
}

// New returns a cache that remembers nothing.
func New[T any](c Config[T]) *Cache[T] {
	return &Cache[T]{cfg: c, known: make(map[string]value[T])}
}

// Get returns a value that is at most MaxAge old, and not from before the last call of Changed.
func (c *Cache[T]) Get(ctx context.Context, key string) (T, error) {
	known, changes, ok := c.lookup(key)
	if ok {
		return known.v, known.err
	}
	// Calls at the same time share one read, but not with calls from before a change.
	flight := c.flights.DoChan(strconv.FormatUint(changes, 10)+" "+key, func() (any, error) {
		return c.fetch(context.WithoutCancel(ctx), key, changes)
	})
	select {
	case <-ctx.Done():
		return *new(T), ctx.Err()
	case result := <-flight:
		v, _ := result.Val.(T) // nil if T is an interface, and the value is
		return v, result.Err
	}
}

// GetNewer returns a value that was stored at some moment since the call: for a caller that
// misses something in the one that Get returned.
func (c *Cache[T]) GetNewer(ctx context.Context, key string) (T, error) {
	_, changes, _ := c.lookup(key)
	return c.fetch(ctx, key, changes)
}

// fetch reads a value, and remembers it unless there was a change since the given number of
// changes. A read that takes longer than MaxAge is begun anew, so that no call gets an older value.
func (c *Cache[T]) fetch(ctx context.Context, key string, changes uint64) (T, error) {
	var v T
	var err error
	for range tries {
		if v, err = c.try(ctx, key, changes); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			break
		}
	}
	return v, err
}

func (c *Cache[T]) try(ctx context.Context, key string, changes uint64) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxAge)
	defer cancel()
	read := value[T]{at: c.cfg.Now()}
	read.v, read.err = c.cfg.Read(ctx, key)
	if read.err == nil || errors.Is(read.err, kv.ErrNotFound) {
		c.remember(key, read, changes)
	}
	return read.v, read.err
}

// lookup returns what is remembered of a key, and the number of changes until now.
func (c *Cache[T]) lookup(key string) (known value[T], changes uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok = c.known[key]
	age := c.cfg.Now().Sub(known.at)
	return known, c.changes, ok && age >= 0 && age < MaxAge
}

func (c *Cache[T]) remember(key string, read value[T], changes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changes != c.changes {
		return
	}
	if len(c.known) >= c.cfg.Most {
		clear(c.known) // all are read again
	}
	c.known[key] = read
}

// Changed says that this process has perhaps changed values. It forgets everything.
func (c *Cache[T]) Changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	clear(c.known)
}
