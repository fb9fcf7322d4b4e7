package objectstore

import "context"

// WithUpto returns a context for List, by which its caller tells that it is sure
// to read less far than it said when it began: upto returns how far, in keys of
// the listing, which may only come nearer; "" is the end. It is called
// concurrently. Like List's own upto, it changes no result.
func WithUpto(ctx context.Context, upto func() string) context.Context {
	return context.WithValue(ctx, uptoKey{}, upto)
}

// UptoOf returns the upto of WithUpto, or nil.
func UptoOf(ctx context.Context) func() string {
	upto, _ := ctx.Value(uptoKey{}).(func() string)
	return upto
}

type uptoKey struct{}
