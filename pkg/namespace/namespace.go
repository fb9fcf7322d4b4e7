// Package namespace is where a repository's ranges and metaranges are stored:
// one file for each content ID, at <storage namespace>/_lakefs/<id>.
package namespace

import (
	"context"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// directory holds every file of a namespace; the name is part of the format.
const directory = "_lakefs"

// Files are the files of one storage namespace. A file's ID is a hash of its
// content, 64 lower-case hex digits, so that files never change and storing one
// again is harmless. Errors are those of the store, which name the file. Files may be
// used concurrently.
type Files struct {
	store  objectstore.Store
	prefix objectstore.URI
}

// New returns the files under uri, which lies in store. Slashes at either end
// of the URI's key do not count, as in lakeFS: s3://bucket/repo and
// s3://bucket/repo/ are one namespace.
func New(store objectstore.Store, uri objectstore.URI) *Files {
	uri.Key = strings.Trim(uri.Key, "/")
	if uri.Key != "" {
		uri.Key += "/"
	}
	return &Files{store: store, prefix: uri.Join(directory + "/")}
}

// Open returns the files of a storage namespace, a URI. What is no URI is
// objectstore.ErrRefused; other errors are the opener's.
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

// maxFile bounds what Get reads, in bytes. Files that are read whole are ranges,
// which end at 20 MiB unless ranges.max_size_bytes says otherwise.
const maxFile = 256 << 20

// Get returns the content of a file. A file that does not exist is
// objectstore.ErrNotFound, one of more than 256 MiB objectstore.ErrTooLarge.
func (f *Files) Get(ctx context.Context, id string) ([]byte, error) {
	uri, err := f.uri(id)
	if err != nil {
		return nil, err
	}
	return f.store.Get(ctx, uri.Key, maxFile)
}

// GetRange returns the n bytes of a file from an offset on, or as many as there
// are, and the size of the file; see objectstore.Store.
func (f *Files) GetRange(ctx context.Context, id string, offset, n int64) (part []byte, size int64, err error) {
	uri, err := f.uri(id)
	if err != nil {
		return nil, 0, err
	}
	return f.store.GetRange(ctx, uri.Key, offset, n)
}

// Put stores a file whole or not at all, and has it durable on return. It does
// not keep data; see objectstore.Store for sum.
func (f *Files) Put(ctx context.Context, id string, data []byte, sum objectstore.Sum) error {
	uri, err := f.uri(id)
	if err != nil {
		return err
	}
	return f.store.Put(ctx, uri.Key, data, sum)
}

// uri returns where a file lives. IDs come from requests too, so nothing that
// is not an ID may become a part of a path.
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
