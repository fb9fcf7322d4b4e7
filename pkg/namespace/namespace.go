// Package namespace stores the range and metarange files of a repository in its storage
// namespace: one file for each content ID, at <storage namespace>/_lakefs/<id>, and the
// manifest of a dump of refs.
package namespace

import (
	"context"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// directory holds all files of a namespace. Its name is part of lakeFS's format.
const directory = "_lakefs"

// Files are the files of one storage namespace. A file's ID is a hash of its content, 64
// lower-case hex digits, so that files never change and storing one again is harmless.
// Errors are those of the store, and name the file. Methods may be called concurrently.
type Files struct {
	store  objectstore.Store
	prefix objectstore.URI
}

// New returns the files under uri, which is in store. As in lakeFS, slashes at either end of
// the URI's key are ignored: s3://bucket/repo and s3://bucket/repo/ are the same namespace.
func New(store objectstore.Store, uri objectstore.URI) *Files {
	uri.Key = strings.Trim(uri.Key, "/")
	if uri.Key != "" {
		uri.Key += "/"
	}
	return &Files{store: store, prefix: uri.Join(directory + "/")}
}

// Open returns the files of a storage namespace, a URI. It returns objectstore.ErrRefused if
// the URI is invalid; other errors are those of the opener.
func Open(ctx context.Context, stores objectstore.Opener, namespace string) (*Files, error) {
	uri, err := objectstore.ParseURI(namespace)
	if err != nil {
		return nil, fmt.Errorf("storage namespace: %w: %w", objectstore.ErrRefused, err)
	}
	store, err := stores.Open(ctx, uri)
	if err != nil {
		return nil, fmt.Errorf("open the storage namespace: %w", err)
	}
	return New(store, uri), nil
}

// maxFile bounds what Get reads, in bytes. Only ranges are read whole; they end at 20 MiB
// unless ranges.max_size_bytes says otherwise.
const maxFile = 256 << 20

// Get returns the content of a file. It returns objectstore.ErrNotFound if there is no such
// file, and objectstore.ErrTooLarge if it is larger than 256 MiB.
func (f *Files) Get(ctx context.Context, id string) ([]byte, error) {
	uri, err := f.uri(id)
	if err != nil {
		return nil, err
	}
	return f.store.Get(ctx, uri.Key, maxFile)
}

// GetRange returns n bytes of a file from an offset, or as many as there are, and the size of
// the file; see objectstore.Store.
func (f *Files) GetRange(ctx context.Context, id string, offset, n int64) (part []byte, size int64, err error) {
	uri, err := f.uri(id)
	if err != nil {
		return nil, 0, err
	}
	return f.store.GetRange(ctx, uri.Key, offset, n)
}

// Put stores a file atomically; it is durable when Put returns. Put does not retain data.
// See objectstore.Store for sum.
func (f *Files) Put(ctx context.Context, id string, data []byte, sum objectstore.Sum) error {
	uri, err := f.uri(id)
	if err != nil {
		return err
	}
	return f.store.Put(ctx, uri.Key, data, sum)
}

// manifest is the name that lakeFS gives the manifest of a dump of refs.
const manifest = "refs_manifest.json"

// PutManifest is Put of the manifest of a dump of refs, and replaces an earlier one. No ID is
// its name.
func (f *Files) PutManifest(ctx context.Context, data []byte, sum objectstore.Sum) error {
	return f.store.Put(ctx, f.prefix.Join(manifest).Key, data, sum)
}

// uri returns the URI of a file. IDs may come from requests, so nothing but an ID may become
// part of a path.
func (f *Files) uri(id string) (objectstore.URI, error) {
	if !validID(id) {
		return objectstore.URI{}, fmt.Errorf("%q is not the ID of a range or metarange: want 64 hex digits", id)
	}
	return f.prefix.Join(id), nil
}

// validID reports whether id has the form of a content ID: 64 lower-case hex
// digits.
func validID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
