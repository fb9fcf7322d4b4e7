package stores

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// Listing implements objectstore.Chooser. Directories have one mode, and buckets that of the
// setting, if it names one. Otherwise they are listed in parallel only if the store is known
// to answer each LIST with the keys that follow its start: a trial would show that for
// some starts only.
func (s *Stores) Listing(ctx context.Context, u objectstore.URI) (objectstore.Listing, error) {
	if u.Scheme != objectstore.SchemeS3 {
		return objectstore.Listing{Mode: objectstore.Parallel}, nil
	}
	if s.listing != "" {
		return objectstore.Listing{Mode: s.listing, Why: fmt.Sprintf("s3.listing is %s", s.listing)}, nil
	}
	client, err := s.s3Client(ctx)
	if err != nil {
		return objectstore.Listing{}, fmt.Errorf("choose how %s is listed: %w", u, err)
	}
	name, known, err := client.Identity(ctx, u.Bucket)
	if err != nil {
		return objectstore.Listing{}, fmt.Errorf("choose how %s is listed: %w", u, err)
	}
	if known {
		return objectstore.Listing{Mode: objectstore.Parallel, Why: "the store is " + name}, nil
	}
	return objectstore.Listing{Mode: objectstore.Walk, Why: fmt.Sprintf(
		"the store at %s is not known to be safe to list in parallel; rangectl doctor tries it, and s3.listing: parallel trusts it", name)}, nil
}
