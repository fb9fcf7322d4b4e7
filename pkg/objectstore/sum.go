package objectstore

import (
	"context"
	"crypto/sha256"
)

// WithSum returns a context for Put, by which its caller tells the SHA-256 of the
// body: a store that needs it is spared a pass over the body. A store may refuse
// a body that has another.
func WithSum(ctx context.Context, sum [sha256.Size]byte) context.Context {
	return context.WithValue(ctx, sumKey{}, sum)
}

// SumOf returns the sum of WithSum, if there is one.
func SumOf(ctx context.Context) (sum [sha256.Size]byte, ok bool) {
	sum, ok = ctx.Value(sumKey{}).([sha256.Size]byte)
	return sum, ok
}

type sumKey struct{}
