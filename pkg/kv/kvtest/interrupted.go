package kvtest

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/rangefleet/rangefleet/pkg/kv"
)

// Interrupted is a bucket in which somebody else is first: before each of the first Left updates
// of keys with the prefix, it calls Before.
type Interrupted struct {
	kv.Bucket

	Prefix string
	Before func()
	Left   atomic.Int64
}

// Update implements kv.Bucket.
func (i *Interrupted) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if strings.HasPrefix(key, i.Prefix) && i.Left.Add(-1) >= 0 {
		i.Before()
	}
	return i.Bucket.Update(ctx, key, value, revision)
}
