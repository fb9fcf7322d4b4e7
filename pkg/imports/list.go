package imports

import (
	"context"
	"iter"
	"slices"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Newest yields the imports that are kept, newest first: in descending order of their IDs,
// which begin with the time of the start. If after is not empty, only those whose IDs are
// below it are yielded. An import whose record cannot be decoded, or is deleted meanwhile,
// is left out. The sequence ends after the first error.
func (s *Store) Newest(ctx context.Context, after string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ids, err := s.IDs(ctx)
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, id := range slices.Backward(ids) {
			if after != "" && id >= after {
				continue
			}
			r, err := s.Get(ctx, id)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
