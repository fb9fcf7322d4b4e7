package s3store

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

var _ trial.Pages = (*Bucket)(nil)

// ListAfter implements trial.Pages. It is ListPage with a number of keys, and it does not
// check the end that the store reports.
func (b *Bucket) ListAfter(ctx context.Context, prefix, after string, keys int, take func([]objectstore.Listed)) (more bool, err error) {
	a := b.calls.client.answers.Get().(*answer)
	defer b.calls.client.answers.Put(a)
	objects, err := b.lister.page(ctx, a, ask{prefix: prefix, after: after, keys: keys})
	if err != nil {
		return false, fmt.Errorf("list %s after %q: %w", b.calls.uri(prefix), after, err)
	}
	if len(objects) > 0 {
		take(objects)
	}
	return a.page.Truncated || a.page.Unsaid, nil
}

// Encodes reports whether the store says that it sends keys URL-encoded, as it is asked
// to.
func (b *Bucket) Encodes(ctx context.Context, prefix string) (bool, error) {
	a := b.calls.client.answers.Get().(*answer)
	defer b.calls.client.answers.Put(a)
	if err := b.lister.fetch(ctx, a, ask{prefix: prefix, keys: 1}); err != nil {
		return false, fmt.Errorf("list %s: %w", b.calls.uri(prefix), err)
	}
	return a.page.Encoded, nil
}
