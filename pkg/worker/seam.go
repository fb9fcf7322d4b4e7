package worker

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// A listing that starts or ends at the boundary of a range starts or ends at a key
// that the store had a moment ago. Such a seam is checked by that key: if a listing lacks
// keys at a seam twice in a row, the import fails rather than lose keys. A walk is not
// checked here: it starts at the first key, and package readahead checks its end.

// checkStart returns an error if the store does not show the key at which an aligned
// partition starts to a listing that starts just before the key.
func (l *lister) checkStart(ctx context.Context) error {
	if !l.rest.Aligned || l.rest.After == "" || l.src.Walks() {
		return nil
	}
	shown, err := l.src.Shows(ctx, l.rest.After)
	if err != nil {
		return fmt.Errorf("check a listing after key %q: %w", l.rest.After, err)
	}
	if !shown {
		return l.contradicted("a listing that starts before key %q does not show it, though the store has it", l.rest.After)
	}
	return nil
}

// checkEnd returns an error if a listing came to an end before the key at which the
// partition ends, and the store still has that key.
func (l *lister) checkEnd(ctx context.Context) error {
	boundary, known := l.owned.Boundary()
	if !known || l.src.Walks() {
		return nil
	}
	there, err := l.src.Has(ctx, boundary)
	if err != nil {
		return fmt.Errorf("look for key %q, before which the listing ended: %w", boundary, err)
	}
	if there {
		return l.contradicted("the listing ended before key %q, which the store has", boundary)
	}
	return nil
}

// contradicted returns the error of a listing that a key contradicts. The first time
// that is no proof: the key may have been removed, and written again between the listing
// and the question. So the keys are listed once more, and only then the store is not
// believed.
func (l *lister) contradicted(format, key string) error {
	if l.d.tries.count == 1 {
		return fmt.Errorf(format+", or was written meanwhile", key)
	}
	return fmt.Errorf(format+"; s3.listing: walk lists such a store: %w", key, objectstore.ErrBadListing)
}
