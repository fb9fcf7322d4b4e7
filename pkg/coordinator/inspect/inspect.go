// Package inspect reads the metaranges and ranges of repositories for people who examine them,
// and compares them with their sources.
package inspect

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// Config is what an inspector works with. All fields are required.
type Config struct {
	Repository  func(ctx context.Context, id string) (catalog.Repository, error)
	Stores      Stores
	Buckets     Buckets                                                           // of the same stores
	CheckSource func(ctx context.Context, source string) (objectstore.URI, error) // refuses what may not be imported
}

// Stores opens storage namespaces, and sources.
type Stores interface {
	objectstore.Opener
	objectstore.SourceOpener
}

// Buckets opens buckets whose pages are listed one by one.
type Buckets interface {
	Trial(ctx context.Context, u objectstore.URI) (trial.Bucket, error)
}

// Inspector reads files. It may be used concurrently.
type Inspector struct{ cfg Config }

// New returns an inspector.
func New(cfg Config) *Inspector { return &Inspector{cfg} }

// Verify verifies the ranges of a metarange of the repository that end after a key; see
// metarange.Verify. The error is a fault.NotFound if there is no such repository or metarange.
func (i *Inspector) Verify(ctx context.Context, repository, id, after string) (iter.Seq2[metarange.Verified, error], error) {
	files, err := i.files(ctx, repository, id)
	if err != nil {
		return nil, err
	}
	return metarange.Verify(ctx, files, id, after), nil
}

// files returns the files of a repository, which has the metarange.
func (i *Inspector) files(ctx context.Context, repository, id string) (*namespace.Files, error) {
	r, err := i.cfg.Repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, fault.Missing("metarange")
	}
	files, err := namespace.Open(ctx, i.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return nil, err
	}
	if _, _, err := files.GetRange(ctx, id, 0, 1); errors.Is(err, objectstore.ErrNotFound) {
		return nil, fault.Missing("metarange")
	} else if err != nil {
		return nil, err
	}
	return files, nil
}
