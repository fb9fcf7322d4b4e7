package trial

import (
	"fmt"
	"slices"
	"sort"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Walk is what a walk by continuation tokens has shown of a prefix.
type Walk struct {
	Prefix   string
	Keys     []string // the first keys with the prefix, strictly increasing
	Complete bool     // no key follows the last one
	Pages    int      // that were listed
	Repeated int      // keys of a page that were in the pages before
	bytes    int      // of Keys
}

// add appends the keys of the next page. Keys that were listed before are dropped, since some
// stores repeat them; other keys before the last one are objectstore.ErrBadListing.
func (w *Walk) add(page []string) error {
	for _, key := range page {
		if n := len(w.Keys); n > 0 && key <= w.Keys[n-1] {
			if _, known := slices.BinarySearch(w.Keys, key); !known {
				return fmt.Errorf("key %q is listed after %q, out of order: %w", key, w.Keys[n-1], objectstore.ErrBadListing)
			}
			w.Repeated++
			continue
		}
		w.Keys = append(w.Keys, key)
		w.bytes += len(key)
	}
	return nil
}

// following returns the walked keys that lie after a start.
func (w *Walk) following(after string) []string {
	i := sort.Search(len(w.Keys), func(i int) bool { return w.Keys[i] > after })
	return w.Keys[i:]
}

// tells reports whether the walk shows what the answer to a LIST after a start must be.
func (w *Walk) tells(after string) bool {
	return w.Complete || len(w.Keys) > 0 && after < w.Keys[len(w.Keys)-1]
}

// answer is what a store answered a LIST.
type answer struct {
	Keys []string // of the page, in its order
	More bool     // the store says that keys follow the page
}

// Contradiction is the first key in which an answer and the walk differ. At least one of the
// two fields is set, unless the answer is empty and says that keys follow.
type Contradiction struct {
	Want string // the walked key that comes next; "": the walk has none
	Got  string // the key that came; "": the answer ended
}

// loses reports whether the answer skips the key that comes next.
func (c Contradiction) loses() bool { return c.Want != "" && (c.Got == "" || c.Got > c.Want) }

// judge compares the answer to a LIST after a start with the walk. A page may be short, and
// may say that keys follow though none do. It must not skip a key, hold other keys, or be
// the last one though keys follow. Keys behind those that were walked are not judged.
func (w *Walk) judge(after string, got answer) (c Contradiction, contradicts bool) {
	want := w.following(after)
	for i, key := range got.Keys {
		switch {
		case i == len(want) && w.Complete:
			return Contradiction{Got: key}, true
		case i == len(want):
			return Contradiction{}, false
		case key != want[i]:
			return Contradiction{Want: want[i], Got: key}, true
		}
	}
	switch n := len(got.Keys); {
	case n < len(want) && (!got.More || n == 0):
		return Contradiction{Want: want[n]}, true
	case n == 0 && got.More:
		return Contradiction{}, true
	}
	return Contradiction{}, false
}
