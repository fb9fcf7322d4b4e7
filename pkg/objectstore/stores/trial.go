package stores

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// Trial returns the bucket that u lives in, to be tried under the key of u. It asks the store
// to identify itself. Errors are those of Open, objectstore.ErrRefused if u is no URI of a
// bucket, and those of the calls.
func (s *Stores) Trial(ctx context.Context, u objectstore.URI) (trial.Bucket, error) {
	var none trial.Bucket
	if u.Scheme != objectstore.SchemeS3 {
		return none, fmt.Errorf("try %s: only buckets can be tried: %w", u, objectstore.ErrRefused)
	}
	client, err := s.s3Client(ctx)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	bucket, err := client.Bucket(u.Bucket)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	name, known, err := client.Identity(ctx, u.Bucket)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	encodes, err := bucket.Encodes(ctx, u.Key)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	return trial.Bucket{Store: name, Known: known, Encodes: encodes, Pages: s.trial(bucket)}, nil
}
