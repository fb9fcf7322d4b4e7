package objectstore

import "context"

// repeatsKey is the key of the function in a context.
type repeatsKey struct{}

// WithRepeats returns a context in which f is told of each call to a store that is repeated, with
// the error of the try before. f may be called concurrently, and must not block.
//
// It is a value of the context, as net/http/httptrace has one, since calls are repeated far
// below the code that they are made for, which has no other use for them.
func WithRepeats(ctx context.Context, f func(cause error)) context.Context {
	return context.WithValue(ctx, repeatsKey{}, f)
}

// NoteRepeat tells the function of the context, if there is one, that a call is repeated.
func NoteRepeat(ctx context.Context, cause error) {
	if f, ok := ctx.Value(repeatsKey{}).(func(error)); ok {
		f(cause)
	}
}
