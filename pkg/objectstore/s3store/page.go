package s3store

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// page is the answer to one LIST call, keys decoded, not yet checked.
type page struct {
	objects   []objectstore.Object
	truncated bool // the store says that there is more
}

// fetch lists one page of at most size keys (nil: the store's limit).
func (b *Bucket) fetch(ctx context.Context, prefix, after string, size *int32) (page, error) {
	in := &s3.ListObjectsV2Input{
		Bucket: &b.name, Prefix: &prefix, MaxKeys: size,
		EncodingType: types.EncodingTypeUrl, // XML cannot carry every key
	}
	// Every key with the prefix lies after whatever sorts before the prefix;
	// some stores stumble over such a start.
	if after >= prefix && after != "" {
		in.StartAfter = &after
	}
	out, err := b.client.s3.ListObjectsV2(ctx, in)
	if err != nil {
		if unspeakable(err) {
			return page{}, fmt.Errorf("the page holds a character that XML cannot carry and the store does not encode: %w: %w",
				objectstore.ErrBadListing, err)
		}
		return page{}, classify(ctx, err)
	}
	if out.IsTruncated == nil { // every store sends it; an empty body would pass for an empty bucket
		return page{}, errors.New("the answer is no listing: IsTruncated is missing")
	}
	p := page{truncated: *out.IsTruncated, objects: make([]objectstore.Object, len(out.Contents))}
	for i, o := range out.Contents {
		if p.objects[i], err = decode(o, out.EncodingType == types.EncodingTypeUrl); err != nil {
			return page{}, err
		}
	}
	return p, nil
}

// unspeakable reports whether err is that of a page with bytes that XML forbids.
// A page that was cut short is another matter: the next try may get it whole.
func unspeakable(err error) bool {
	var syntax *xml.SyntaxError
	return errors.As(err, &syntax) &&
		(strings.HasPrefix(syntax.Msg, "invalid UTF-8") || strings.HasPrefix(syntax.Msg, "illegal character"))
}

// decode returns the object that a page names; encoded says that the store
// wrote its key as a URL query.
func decode(o types.Object, encoded bool) (objectstore.Object, error) {
	raw := aws.ToString(o.Key)
	key := raw
	if encoded {
		var err error
		if key, err = url.QueryUnescape(raw); err != nil {
			return objectstore.Object{}, fmt.Errorf("key %q is not URL-encoded as the store says: %w", raw, objectstore.ErrBadListing)
		}
	}
	switch {
	case !utf8.ValidString(key):
		return objectstore.Object{}, fmt.Errorf("key %q is not valid UTF-8: %w", key, objectstore.ErrBadListing)
	case !encoded && strings.ContainsRune(key, utf8.RuneError):
		// Stores that do not encode write U+FFFD for what XML cannot carry, so
		// that two keys may look like one.
		return objectstore.Object{}, fmt.Errorf("key %q may stand for another: the store replaces characters that it should encode: %w",
			key, objectstore.ErrBadListing)
	case o.Size == nil || o.LastModified == nil:
		return objectstore.Object{}, fmt.Errorf("key %q is listed without its size or time: %w", key, objectstore.ErrBadListing)
	}
	return objectstore.Object{
		Key:     key,
		ETag:    strings.Trim(aws.ToString(o.ETag), `"`),
		Size:    *o.Size,
		ModTime: o.LastModified.UTC(),
	}, nil
}

// check returns the objects of the page that lie after `after`, or an error if
// the page is not what a store that keeps S3's promises answers: keys with the
// prefix, strictly increasing, none before `after`, and at least one new key if
// there are more to come.
//
// The key `after` itself is forgiven and dropped: stores are known that start at
// it. A key before it is not: a store that ignores the start would be listed for
// ever, and one that does not sort would lose keys.
func (p page) check(prefix, after string) ([]objectstore.Object, error) {
	objects := p.objects
	if len(objects) > 0 && objects[0].Key == after && after != "" {
		objects = objects[1:]
	}
	last := after
	for _, o := range objects {
		if !strings.HasPrefix(o.Key, prefix) {
			return nil, fmt.Errorf("key %q does not start with %q: %w", o.Key, prefix, objectstore.ErrBadListing)
		}
		if o.Key <= last {
			return nil, fmt.Errorf("key %q is listed after %q, out of order: %w", o.Key, last, objectstore.ErrBadListing)
		}
		last = o.Key
	}
	if p.truncated && len(objects) == 0 {
		return nil, fmt.Errorf("the store says that keys follow %q but lists none: %w", after, objectstore.ErrBadListing)
	}
	return objects, nil
}
