package worker

import (
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// A listing that starts or ends at the boundary of a range starts or ends at a key
// that was there a moment ago. Both ends are checked by it: a store that shows too few
// keys at a seam twice in a row is found out, and the import fails rather than lose them. A walk
// needs no check, for it starts nowhere, and its end is believed.

// checkStart returns an error if the store does not show the key at which an aligned
// partition starts to a listing that starts just before it.
func (l *lister) checkStart() error {
	if !l.p.Aligned || l.p.After == "" || l.src.Walks() {
		return nil
	}
	shown, err := l.src.Shows(l.ctx, l.p.After)
	if err != nil {
		return fmt.Errorf("make sure of a listing after key %q: %w", l.p.After, err)
	}
	if !shown {
		return l.refute("a listing that starts before key %q does not show it, though the store has it", l.p.After)
	}
	return nil
}

// checkEnd returns an error if a listing came to an end before the key at which the
// partition ends, and the store still has that key.
func (l *lister) checkEnd() error {
	boundary, known := l.owned.Boundary()
	if !known || l.src.Walks() {
		return nil
	}
	there, err := l.src.Has(l.ctx, boundary)
	if err != nil {
		return fmt.Errorf("look for key %q, before which the listing ended: %w", boundary, err)
	}
	if there {
		return l.refute("the listing ended before key %q, which the store has", boundary)
	}
	return nil
}

// refute returns what a key says against the listing. The first time that is no proof: the
// key may have been removed, and written again between the listing and the question. So
// the keys are listed once more, and only then the store is not believed.
func (l *lister) refute(format, key string) error {
	if l.tries == 1 {
		return fmt.Errorf(format+", or was written meanwhile", key)
	}
	return fmt.Errorf(format+"; s3.listing: walk lists such a store: %w", key, objectstore.ErrBadListing)
}
