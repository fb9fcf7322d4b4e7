package s3store

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// maxHeads bounds the HEAD calls of a page in flight.
const maxHeads = 8

// complete fetches by HEAD the fields that a page lacks. Some stores list the markers
// of directories without size, time and ETag.
func (l *lister) complete(ctx context.Context, page *listxml.Page) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxHeads)
	for _, i := range page.Bare {
		g.Go(func() error {
			o := &page.Objects[i]
			err := l.calls.head(ctx, o)
			if isNotFound(err) { // though it was listed
				err = fmt.Errorf("a HEAD does not find it: %w", objectstore.ErrBadListing)
			}
			if err != nil {
				return fmt.Errorf("key %q is listed without its size or time: %w", o.Key, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// head sets the size, time and ETag of an object by a HEAD call. The error for a missing
// object is objectstore.ErrNotFound.
func (c *calls) head(ctx context.Context, o *objectstore.Listed) error {
	var out *s3.HeadObjectOutput
	err := c.call(ctx, func() (err error) {
		out, err = c.client.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.name, Key: aws.String(string(o.Key))}, c.as)
		return err
	})
	switch {
	case err != nil:
		return err
	case out.ContentLength == nil || out.LastModified == nil || !objectstore.TimeFits(*out.LastModified):
		return fmt.Errorf("a HEAD response lacks them, too: %w", objectstore.ErrBadKey)
	}
	o.Size, o.ModTime = *out.ContentLength, out.LastModified.UnixNano()
	if len(o.ETag) == 0 {
		o.ETag = []byte(strings.Trim(aws.ToString(out.ETag), `"`))
	}
	return nil
}
