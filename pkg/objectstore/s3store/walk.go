package s3store

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// WalkPage implements objectstore.Pager. The end that the store tells is believed:
// the chain of tokens is the one way in which all clients list, and nothing else
// that could be asked is more reliable.
func (b *Bucket) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (next string, err error) {
	a := b.client.answers.Get().(*answer)
	defer b.client.answers.Put(a)
	objects, err := b.onePage(ctx, a, ask{prefix: prefix, token: token, walk: true})
	more := a.page.Truncated
	if err == nil && a.page.Unsaid {
		more, err = b.more(ctx, a, prefix, objects, once)
	}
	if err == nil && more && len(a.page.Next) == 0 {
		err = fmt.Errorf("the store says that more keys follow and gives no continuation token: %w", objectstore.ErrBadListing)
	}
	if err != nil {
		return "", fmt.Errorf("walk %s: %w", b.uri(prefix), err)
	}
	if len(objects) > 0 {
		take(objects)
	}
	if !more {
		return "", nil
	}
	return string(a.page.Next), nil
}
