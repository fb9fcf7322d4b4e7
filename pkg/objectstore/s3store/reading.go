package s3store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// Stores differ in how they encode keys in a page: URL-encoded as AWS does, with + for a
// space; URL-encoded with %20; not encoded, though they say that they are; and encoded,
// though they do not say so. A reading is a way to decode a key. A wrong reading yields a
// key that does not exist. So before a key is believed whose readings differ, the store is
// asked for the keys that it may be. The answer holds for the whole bucket.
const (
	maxAsked = 3  // keys of a page about which the store is asked: one may be deleted meanwhile
	askKeys  = 10 // of such a page; a key comes before all others that begin with it
)

// readKeys decodes the keys of a's page.
func (l *lister) readKeys(ctx context.Context, a *answer, q ask) error {
	page := &a.page
	known := l.calls.facts.readings(page.Encoded)
	set := known.possible()
	if !page.Agree(set) {
		feasible, err := l.findReading(ctx, a, set, q.prefix)
		if err != nil {
			return err
		}
		known.narrow(feasible)
		set &= feasible
	}
	// The remaining readings agree, so the cheapest one will do.
	for _, r := range []listxml.Readings{listxml.Escaped, listxml.Query} {
		if set&r != 0 {
			return page.Read(r)
		}
	}
	return page.Read(listxml.Literal)
}

// findReading returns the readings of the set that the page in a and the store allow. They
// decode the page to the same keys. Ceph is not asked: if it says that it encodes keys, it
// encodes all of them, and every + in them.
func (l *lister) findReading(ctx context.Context, a *answer, set listxml.Readings, prefix string) (listxml.Readings, error) {
	page := &a.page
	first, _ := page.Doubtful(set, 0)
	if page.Encoded && a.about.isCeph() {
		set &^= listxml.Literal
	}
	if set &= page.Feasible(prefix); set == 0 {
		return 0, fmt.Errorf("key %q is encoded in another way than the bucket's other keys, or does not start with %q: %w",
			first, prefix, objectstore.ErrBadListing)
	}
	for undecided := 0; undecided < maxAsked && !page.Agree(set); {
		text, ok := page.Doubtful(set, undecided)
		if !ok {
			break
		}
		found, err := l.readingsOf(ctx, text, set)
		if err != nil {
			return 0, fmt.Errorf("find out how key %q is encoded: %w", text, err)
		}
		if found == 0 {
			undecided++
		} else {
			set, undecided = found, 0
		}
	}
	if page.Agree(set) {
		return set, nil
	}
	return 0, fmt.Errorf("key %q may be URL-encoded or not, and the answers of the store do not show which: %w",
		first, objectstore.ErrBadListing)
}

// readingsOf asks the store which keys a text stands for. It returns the readings that
// yield the key that the store has, or 0 if that is not clear. If the store has none, it
// returns the readings whose keys cannot be asked for.
func (l *lister) readingsOf(ctx context.Context, text []byte, set listxml.Readings) (listxml.Readings, error) {
	var found, unasked listxml.Readings
	under := "" // the key found so far
	asked := make(map[string]bool)
	for _, r := range []listxml.Readings{listxml.Literal, listxml.Escaped, listxml.Query} {
		key, ok := listxml.ReadText(text, r)
		switch {
		case !ok || set&r == 0 || asked[key]:
			continue
		case !utf8.ValidString(key): // stores refuse requests for such a key, and it cannot be imported
			unasked |= r
			continue
		}
		asked[key] = true
		there, err := l.listsAs(ctx, key, text)
		if err != nil {
			return 0, err
		}
		switch {
		case !there:
		case found == 0:
			found, under = set&sameKey(text, key), key
		case !strings.HasPrefix(under, key): // else it is listed because it is a prefix of the other
			return 0, nil
		}
	}
	if found == 0 {
		return unasked, nil
	}
	return found, nil
}

// sameKey returns the readings that decode text to key.
func sameKey(text []byte, key string) (set listxml.Readings) {
	for _, r := range []listxml.Readings{listxml.Literal, listxml.Escaped, listxml.Query} {
		if listxml.Reads(text, r, key) {
			set |= r
		}
	}
	return set
}

// listsAs reports whether the store lists an object as text when it is asked for the keys
// that begin with key.
func (l *lister) listsAs(ctx context.Context, key string, text []byte) (bool, error) {
	a := l.calls.client.answers.Get().(*answer)
	defer l.calls.client.answers.Put(a)
	if err := l.fetch(ctx, a, ask{prefix: key, keys: askKeys}); err != nil {
		return false, err
	}
	for _, o := range a.page.Objects {
		if string(o.Key) == string(text) {
			return true, nil
		}
	}
	return false, nil
}
