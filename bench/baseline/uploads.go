package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/treeverse/lakefs/pkg/pyramid"
)

// uploads stores lakeFS's tables. An open table is a local file, and a stored one is an
// object of a bucket.
type uploads struct {
	client         *s3.Client
	dir            string
	bucket, prefix string
}

var _ pyramid.FS = (*uploads)(nil)

func (u *uploads) Create(context.Context, string, string) (pyramid.StoredFile, error) {
	f, err := os.CreateTemp(u.dir, "new-")
	if err != nil {
		return nil, err
	}
	return stored{f, f.Name(), u}, nil
}

var errUnread = errors.New("the baseline reads no files back")

func (u *uploads) Open(context.Context, string, string, string) (pyramid.File, error) {
	return nil, errUnread
}

func (u *uploads) Exists(context.Context, string, string, string) (bool, error) { return false, nil }

func (u *uploads) GetRemoteURI(_ context.Context, name string) (string, error) {
	return "s3://" + u.bucket + "/" + u.prefix + name, nil
}

func (u *uploads) Close() error { return nil }

// stored is a file that gets its name when it is stored.
type stored struct {
	pyramid.File
	path string
	to   *uploads
}

func (s stored) Store(ctx context.Context, name string) error {
	_ = s.Close() // the table's writer has usually closed it already
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	defer f.Close()
	key := s.to.prefix + name
	if _, err := s.to.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.to.bucket, Key: &key, Body: f}); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return os.Remove(s.path)
}

func (s stored) Abort(context.Context) error {
	_ = s.Close()
	if err := os.Remove(s.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
