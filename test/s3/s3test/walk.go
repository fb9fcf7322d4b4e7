package s3test

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// puts is the number of concurrent PUTs.
const puts = 16

// Load creates a bucket and puts an object under each of the keys. The content of an object is its
// key, so that ETags differ. An object whose key ends in '/' is empty, as stores with directories
// require.
func (s Server) Load(ctx context.Context, bucket string, keys []string) error {
	if err := s.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	return s.Put(ctx, bucket, keys, func(key string) string {
		if strings.HasSuffix(key, "/") {
			return ""
		}
		return key
	})
}

// Put puts an object under each of the keys into a bucket.
func (s Server) Put(ctx context.Context, bucket string, keys []string, content func(key string) string) error {
	client := s.client()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(puts)
	for _, key := range keys {
		group.Go(func() error {
			in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content(key))}
			if _, err := client.PutObject(ctx, in); err != nil {
				return fmt.Errorf("put %q into %s: %w", key, bucket, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Walk lists the objects of a bucket that have the prefix with the SDK's paginator: page after page
// by continuation tokens, in the server's order. Tests compare the product's listings with it.
func (s Server) Walk(ctx context.Context, bucket, prefix string) ([]objectstore.Object, error) {
	var objects []objectstore.Object
	pages := s3.NewListObjectsV2Paginator(s.client(), &s3.ListObjectsV2Input{
		Bucket: &bucket, Prefix: &prefix, EncodingType: types.EncodingTypeUrl,
	}, func(o *s3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("walk %s/%s: %w", bucket, prefix, err)
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			if page.EncodingType == types.EncodingTypeUrl {
				if key, err = url.QueryUnescape(key); err != nil {
					return nil, fmt.Errorf("walk %s/%s: %w", bucket, prefix, err)
				}
			}
			objects = append(objects, objectstore.Object{
				Key: key, ETag: strings.Trim(aws.ToString(o.ETag), `"`), Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified).UTC(),
			})
		}
	}
	return objects, nil
}
