package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// ask names a page of a prefix: the one after a key, or the one that a continuation token
// leads to. At most one of the two is set.
type ask struct {
	prefix string
	after  string
	token  string
	walk   bool // the page is part of a chain of tokens; also set for the first one
	keys   int  // at most; 0 is the current page size of the bucket
}

// startAfter returns the parameter start-after, or "" for none. A key that sorts before
// the prefix is left out: every key with the prefix lies after it, and some stores fail
// on such a start.
func (q ask) startAfter() string {
	if q.after >= q.prefix {
		return q.after
	}
	return ""
}

// fetch requests one page into a, without examining it.
func (l *lister) fetch(ctx context.Context, a *answer, q ask) error {
	in := &s3.ListObjectsV2Input{
		Bucket: &l.calls.name, Prefix: &q.prefix, MaxKeys: aws.Int32(int32(q.keys)),
		EncodingType: types.EncodingTypeUrl, // XML cannot carry every key
	}
	if start := q.startAfter(); start != "" {
		in.StartAfter = &start
	}
	if q.token != "" {
		in.ContinuationToken = &q.token
	}
	if err := l.listable(); err != nil {
		return err
	}
	return l.record(q, l.calls.call(ctx, func() error {
		_, err := l.calls.client.s3.ListObjectsV2(ctx, in, l.calls.as, s3.WithAPIOptions(a.register))
		return err
	}))
}

// fetchDirect is fetch without the SDK.
func (l *lister) fetchDirect(ctx context.Context, a *answer, r *route, q ask) error {
	err := l.calls.client.direct.fetch(ctx, a, r, l.calls.credentials(), q)
	switch {
	case errors.Is(err, errAskSDK):
		return err
	case err != nil && ctx.Err() == nil:
		err = l.calls.unreachable(err)
	}
	return l.record(q, err)
}

// record records whether a page arrived, and in time, and returns its error. An answer that
// is odd in the same way again and again becomes a permanent error.
func (l *lister) record(q ask, err error) error {
	if err == nil {
		l.calls.facts.odd.end()
		if l.calls.facts.size.inTime(q.keys) {
			l.calls.client.cfg.Resized(true)
		}
		return nil
	}
	odd, isOdd := errors.AsType[*oddAnswer](err)
	switch {
	case isLate(err):
		if l.calls.facts.size.tooLate(q.keys) {
			l.calls.client.cfg.Resized(false)
		}
	case isOdd && !odd.passing && l.calls.facts.odd.add(odd.kind, l.calls.client.cfg.Now()):
		return fmt.Errorf("%w, as all recent answers were: %w", err, objectstore.ErrBadListing)
	}
	return err
}

// listable returns an error if the settings rule out that the bucket is listed.
func (l *lister) listable() error {
	if l.calls.client.cfg.Unordered {
		return fmt.Errorf("s3.order is none: a store that does not list in bytewise order of keys cannot be listed yet: %w", objectstore.ErrSettings)
	}
	return nil
}

// examine returns the objects of the page in a that lie after q.after, or an error if
// the page is not a valid response to q.
func (l *lister) examine(ctx context.Context, a *answer, q ask) ([]objectstore.Listed, error) {
	if err := l.contradiction(&a.page, q); err != nil {
		return nil, err
	}
	if err := l.readKeys(ctx, a, q); err != nil {
		return nil, err
	}
	if len(a.page.Bare) > 0 {
		if err := l.complete(ctx, &a.page); err != nil {
			return nil, err
		}
	}
	return check(&a.page, q)
}

// check returns the objects of a page that lie after q.after, or an error if the page
// breaks a rule of S3: keys are valid UTF-8, have the prefix, strictly increase, and do not
// lie before q.after. If more keys follow, the page has a new key or a token.
//
// The key q.after itself is tolerated and dropped, since some stores start with it. A
// key before it is not: a store that ignores the start would be listed for ever, and
// one that does not sort would lose keys.
func check(page *listxml.Page, q ask) ([]objectstore.Listed, error) {
	objects := page.Objects
	for i := 0; i < len(objects) && !page.ASCII; i++ {
		if err := checkText(objects[i].Key, page.Encoded); err != nil {
			return nil, err
		}
	}
	for len(objects) > 1 && isMarkerAgain(objects[0], objects[1], q.prefix) {
		objects = objects[1:]
	}
	if len(objects) > 0 && string(objects[0].Key) == q.after && q.after != "" {
		objects = objects[1:]
	}
	if err := checkKeys(objects, q.prefix, q.after); err != nil {
		return nil, err
	}
	if page.Truncated && len(objects) == 0 && !q.walk {
		return nil, fmt.Errorf("the store says that keys follow %q but lists none: %w", q.after, objectstore.ErrBadListing)
	}
	return objects, nil
}

// checkKeys returns an error unless all keys have the prefix, and strictly increase from
// after on.
func checkKeys(objects []objectstore.Listed, prefix, after string) error {
	for i := range objects {
		key := objects[i].Key
		if len(key) < len(prefix) || string(key[:len(prefix)]) != prefix {
			return fmt.Errorf("key %q does not start with %q: %w", key, prefix, objectstore.ErrBadListing)
		}
		if i == 0 && string(key) <= after || i > 0 && bytes.Compare(key, objects[i-1].Key) <= 0 {
			last := after
			if i > 0 {
				last = string(objects[i-1].Key)
			}
			return fmt.Errorf("key %q is listed after %q, out of order: a store that does not list in bytewise order of keys (s3.order: none) cannot be imported yet: %w",
				key, last, objectstore.ErrBadListing)
		}
	}
	return nil
}

// isMarkerAgain reports whether b repeats a, the marker of the directory that is listed.
// Some stores list it twice: as an object, and for the directory.
func isMarkerAgain(a, b objectstore.Listed, prefix string) bool {
	return string(a.Key) == prefix && string(b.Key) == prefix && string(a.ETag) == string(b.ETag) && a.Size == b.Size && a.ModTime == b.ModTime
}

// checkText returns an error if a key is not valid UTF-8, or may have been replaced by the
// store; encoded says that the store sent it URL-encoded.
func checkText(key []byte, encoded bool) error {
	if !utf8.Valid(key) {
		return fmt.Errorf("key %q is not valid UTF-8: %w", key, objectstore.ErrBadKey)
	}
	// Stores that do not encode write U+FFFD for what XML cannot carry, so that
	// two keys may look like one.
	if !encoded && bytes.ContainsRune(key, utf8.RuneError) {
		return fmt.Errorf("key %q may stand for another: the store replaces characters that it should encode: %w",
			key, objectstore.ErrBadKey)
	}
	return nil
}
