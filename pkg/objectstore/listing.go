package objectstore

import (
	"context"
	"iter"
)

// Mode is how a store is listed.
type Mode string

// The modes of a listing. The zero Mode is Parallel.
const (
	// Parallel starts LISTs after any string, which need not be a key: many are in
	// flight, and a listing can be divided. It needs a store that answers each of
	// them with all keys that follow.
	Parallel Mode = "parallel"
	// Walk follows one chain of continuation tokens from the first key of the
	// prefix. It needs of a store only what every S3 client needs.
	Walk Mode = "walk"
)

// Listing is a mode and why it was chosen, in words for people.
type Listing struct {
	Mode Mode   `json:"mode"`
	Why  string `json:"why,omitempty"`
}

// Walks reports whether l is a walk.
func (l Listing) Walks() bool { return l.Mode == Walk }

// Chooser opens stores, and knows in which mode they can be listed safely.
type Chooser interface {
	Opener
	SourceOpener
	// Listing chooses how the store that the source u lives in is listed. All listings of one import
	// have one mode, so it is chosen once and kept with the import. Listing may ask the
	// store; the errors are those of the store's calls.
	Listing(ctx context.Context, u URI) (Listing, error)
}

// Walker is a Store that can also be walked.
type Walker interface {
	Store
	// Walk lists all objects with the prefix, as List does from the first key on,
	// by one chain of continuation tokens. Where the chain ends, the listing ends.
	// It takes no notice of opts.Upto.
	Walk(ctx context.Context, prefix string, opts ListOptions) iter.Seq2[[]Listed, error]
}

// ListOptions tell a store about the caller of a listing. They change none of its
// results. The functions are called concurrently; a nil one stands for one that does
// nothing.
type ListOptions struct {
	// Upto returns the key up to which the caller is sure to read; it may stop soon after
	// that. A store that reads ahead need not do so for long after it. What Upto returns
	// may come nearer from call to call, never further; "" is the end of all keys.
	Upto func() string
	// PassedOver is called for each page that was listed and is not yielded, because its
	// keys lie before those to be yielded. A listing that begins anew, as a walk does, may
	// yield nothing for a while: this shows that it still makes progress.
	PassedOver func()
}

// ReadTo returns the options of a caller that reads up to key.
func ReadTo(key string) ListOptions {
	return ListOptions{Upto: func() string { return key }}
}

// WithDefaults returns o with a function in place of each nil.
func (o ListOptions) WithDefaults() ListOptions {
	if o.Upto == nil {
		o.Upto = func() string { return "" }
	}
	if o.PassedOver == nil {
		o.PassedOver = func() {}
	}
	return o
}
