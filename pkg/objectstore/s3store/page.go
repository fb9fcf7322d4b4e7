package s3store

import (
	"bytes"
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// ask says which page of a prefix is asked for: the one after a key, or the one
// that a continuation token stands for. At most one of the two is set.
type ask struct {
	prefix string
	after  string
	token  string
	walk   bool // the page is one of a chain of tokens, the first one too
}

// startAfter returns what to ask a store to start after, "" for the first key.
// Every key with the prefix lies after whatever sorts before the prefix; some
// stores stumble over such a start.
func (q ask) startAfter() string {
	if q.after >= q.prefix {
		return q.after
	}
	return ""
}

// fetch lists one page of at most size keys (nil: the store's limit) into a, not
// yet checked.
func (b *Bucket) fetch(ctx context.Context, a *answer, q ask, size *int32, opts ...func(*s3.Options)) error {
	in := &s3.ListObjectsV2Input{
		Bucket: &b.name, Prefix: &q.prefix, MaxKeys: size,
		EncodingType: types.EncodingTypeUrl, // XML cannot carry every key
	}
	if start := q.startAfter(); start != "" {
		in.StartAfter = &start
	}
	if q.token != "" {
		in.ContinuationToken = &q.token
	}
	_, err := b.client.s3.ListObjectsV2(ctx, in, append(opts, func(o *s3.Options) { o.APIOptions = append(o.APIOptions, a.register) })...)
	if err != nil {
		return classify(ctx, err)
	}
	return nil
}

// check returns the objects of a page that lie after q.after, or an error if the
// page is not what a store that keeps S3's promises answers: keys of valid UTF-8
// with the prefix, strictly increasing, none before q.after, and, if there are
// more to come, at least one new key or the token that leads to them.
//
// The key q.after itself is forgiven and dropped: stores are known that start at
// it. A key before it is not: a store that ignores the start would be listed for
// ever, and one that does not sort would lose keys.
func check(page *listxml.Page, q ask) ([]objectstore.Listed, error) {
	prefix, after, objects := q.prefix, q.after, page.Objects
	for i := 0; i < len(objects) && !page.ASCII; i++ {
		if err := checkText(objects[i].Key, page.Encoded); err != nil {
			return nil, err
		}
	}
	if len(objects) > 0 && string(objects[0].Key) == after && after != "" {
		objects = objects[1:]
	}
	for i := range objects {
		key := objects[i].Key
		if len(key) < len(prefix) || string(key[:len(prefix)]) != prefix {
			return nil, fmt.Errorf("key %q does not start with %q: %w", key, prefix, objectstore.ErrBadListing)
		}
		if i == 0 && string(key) <= after || i > 0 && bytes.Compare(key, objects[i-1].Key) <= 0 {
			last := after
			if i > 0 {
				last = string(objects[i-1].Key)
			}
			return nil, fmt.Errorf("key %q is listed after %q, out of order: %w", key, last, objectstore.ErrBadListing)
		}
	}
	if page.Truncated && len(objects) == 0 && !q.walk {
		return nil, fmt.Errorf("the store says that keys follow %q but lists none: %w", after, objectstore.ErrBadListing)
	}
	return objects, nil
}

// checkText returns an error if the bytes of a key are no key's; encoded says
// that the store wrote it URL-encoded.
func checkText(key []byte, encoded bool) error {
	if !utf8.Valid(key) {
		return fmt.Errorf("key %q is not valid UTF-8: %w", key, objectstore.ErrBadListing)
	}
	// Stores that do not encode write U+FFFD for what XML cannot carry, so that
	// two keys may look like one.
	if !encoded && bytes.ContainsRune(key, utf8.RuneError) {
		return fmt.Errorf("key %q may stand for another: the store replaces characters that it should encode: %w",
			key, objectstore.ErrBadListing)
	}
	return nil
}
