package s3store

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// Stores differ in how they write keys: URL-encoded as AWS does, with + for a space;
// otherwise encoded; as they are, though they say that they encode them; and encoded,
// though they do not say so. A key that is read in a wrong way is one that does not
// exist. So the store is asked, by a key of which the ways to read it make different
// keys, before any such key is believed. What it answers holds for the bucket.
const (
	maxAsked = 3  // keys of a page about which it is asked: one may be deleted meanwhile
	askKeys  = 10 // of the answers; a key comes before all others that begin with it
)

// readKeys makes keys of the texts of a's page.
func (b *Bucket) readKeys(ctx context.Context, a *answer, q ask, opts ...func(*s3.Options)) error {
	page := &a.page
	known := b.facts.readings(page.Encoded)
	set := known.possible()
	if !page.Agree(set) {
		feasible, err := b.settle(ctx, a, set, q.prefix, opts...)
		if err != nil {
			return err
		}
		known.narrow(feasible)
		set &= feasible
	}
	// The readings that are left agree, so the one that has least to look for will do.
	for _, r := range []listxml.Readings{listxml.Escaped, listxml.Query} {
		if set&r != 0 {
			return page.Read(r)
		}
	}
	return page.Read(listxml.Literal)
}

// settle returns those readings of the set by which the store wrote a's page; they
// read it in the same way. Ceph is not asked: it encodes all keys where it says so, and
// leaves no +.
func (b *Bucket) settle(ctx context.Context, a *answer, set listxml.Readings, prefix string, opts ...func(*s3.Options)) (listxml.Readings, error) {
	page := &a.page
	first, _ := page.Doubtful(set, 0)
	if page.Encoded && a.about.isCeph() {
		set &^= listxml.Literal
	}
	if set &= page.Feasible(prefix); set == 0 {
		return 0, fmt.Errorf("key %q is written in another way than the bucket's other keys, or does not start with %q: %w",
			first, prefix, objectstore.ErrBadListing)
	}
	for undecided := 0; undecided < maxAsked && !page.Agree(set); {
		text, ok := page.Doubtful(set, undecided)
		if !ok {
			break
		}
		found, err := b.meant(ctx, text, set, opts...)
		if err != nil {
			return 0, fmt.Errorf("find out how key %q is meant: %w", text, err)
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
	return 0, fmt.Errorf("key %q may be URL-encoded or not, and the store does not tell which when it is asked for it: %w",
		first, objectstore.ErrBadListing)
}

// meant asks for the keys that a text may stand for, and returns the readings that
// make of it the only one which the store has under that text; 0 if that is undecided.
func (b *Bucket) meant(ctx context.Context, text []byte, set listxml.Readings, opts ...func(*s3.Options)) (listxml.Readings, error) {
	var found, unasked listxml.Readings
	under := "" // the key of what was found
	asked := make(map[string]bool)
	for _, r := range []listxml.Readings{listxml.Literal, listxml.Escaped, listxml.Query} {
		key, ok := listxml.ReadText(text, r)
		switch {
		case !ok || set&r == 0 || asked[key]:
			continue
		case !utf8.ValidString(key): // stores refuse to be asked for such a key, and it cannot be imported
			unasked |= r
			continue
		}
		asked[key] = true
		there, err := b.listsAs(ctx, key, text, opts...)
		if err != nil {
			return 0, err
		}
		switch {
		case !there:
		case found == 0:
			found, under = set&sameKey(text, key), key
		case !strings.HasPrefix(under, key): // else that is why it is there
			return 0, nil
		}
	}
	if found == 0 {
		return unasked, nil
	}
	return found, nil
}

// sameKey returns the readings that make the key of a text.
func sameKey(text []byte, key string) (set listxml.Readings) {
	for _, r := range []listxml.Readings{listxml.Literal, listxml.Escaped, listxml.Query} {
		if listxml.Reads(text, r, key) {
			set |= r
		}
	}
	return set
}

// listsAs reports whether the store lists something under a text where it is asked for
// the keys that begin with the key.
func (b *Bucket) listsAs(ctx context.Context, key string, text []byte, opts ...func(*s3.Options)) (bool, error) {
	a := b.client.answers.Get().(*answer)
	defer b.client.answers.Put(a)
	if err := b.fetch(ctx, a, ask{prefix: key, keys: askKeys}, opts...); err != nil {
		return false, err
	}
	for _, o := range a.page.Objects {
		if string(o.Key) == string(text) {
			return true, nil
		}
	}
	return false, nil
}
