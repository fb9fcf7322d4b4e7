package objectstore

import "context"

// WithPassing returns a context for List and Walk, by which its caller hears of each page
// that was listed and is passed over, since its keys lie before those that are to be
// yielded: a sign of life of a listing that yields nothing for a while, as one does that
// begins anew. passing is called concurrently.
func WithPassing(ctx context.Context, passing func()) context.Context {
	return context.WithValue(ctx, passingKey{}, passing)
}

// Passing tells the caller of WithPassing, if there is one, that a page is passed over.
func Passing(ctx context.Context) {
	if passing, ok := ctx.Value(passingKey{}).(func()); ok {
		passing()
	}
}

type passingKey struct{}
