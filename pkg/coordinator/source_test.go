package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// A source names a bucket of the store, and never a host: what looks like one is refused
// before anything is opened, both as a path and for ingest_range.
func TestSourcesNameNoHosts(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	t.Cleanup(s.close)
	for _, uri := range []string{
		"http://169.254.169.254/", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "https://metadata.google.internal/",
		"http://127.0.0.1:9000/", "s3://127.0.0.1:9000/", "s3://user@127.0.0.1/", "s3://bucket@127.0.0.1/", "s3://[::1]:80/", "//127.0.0.1/x",
		"https://account.blob.core.windows.net.evil.example/container/", "https://account.blob.core.windows.net/container/", "abfss://c@account.dfs.core.windows.net/",
		"gs://bucket/", "file:///etc/", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "s3+http://127.0.0.1/", "s3://127.0.0.1%2f/", "s3://bucket?x=http://127.0.0.1/", "s3://bucket#@127.0.0.1/", "s3://a\\@127.0.0.1/", "S3://bucket/",
	} {
		r := request("", "")
		r.Paths = []imports.Path{{Type: imports.CommonPrefix, URI: uri}}
		_, err := s.Start(root.In(t.Context()), r)
		refusedAsSource(t, uri, err)
		_, err = s.IngestRange(t.Context(), "repo", Ingest{FromSourceURI: uri})
		refusedAsSource(t, uri, err)
	}
	all, err := f.imports.IDs(t.Context())
	expect.NoError(t, err)
	if len(all) > 0 {
		t.Errorf("imports were recorded: %v", all)
	}
}

func refusedAsSource(t *testing.T, uri string, err error) {
	t.Helper()
	refused, ok := errors.AsType[*fault.Fault](err)
	if !ok || refused.Kind != fault.Invalid || !strings.Contains(err.Error(), "invalid import source") {
		t.Errorf("%s: %v, want an invalid import source", uri, err)
	}
	if _, err := objectstore.ParseURI(uri); err == nil {
		t.Errorf("%s can be parsed", uri)
	}
}

// apart opens the bucket of sources only as a source, and that of the namespace only as such.
type apart struct{ memstore.Buckets }

func (a apart) Open(ctx context.Context, u objectstore.URI) (objectstore.Store, error) {
	if u.Bucket != "repo" {
		return nil, fmt.Errorf("%s is opened without its role: %w", u, objectstore.ErrRefused)
	}
	return a.Buckets.Open(ctx, u)
}

func (a apart) OpenSource(ctx context.Context, u objectstore.URI, _ bool) (objectstore.Store, error) {
	if u.Bucket == "repo" {
		return nil, fmt.Errorf("%s is opened as a source: %w", u, objectstore.ErrRefused)
	}
	return a.Buckets.Open(ctx, u)
}

// Whatever reads a source opens it with its role, and whatever reads or writes a namespace
// does not.
func TestSourcesAreOpenedAsSources(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 300)
	f.config.Stores = apart{f.buckets}
	s, _ := f.serve()
	f.work(1)
	r := request("dir/", "")
	r.Paths = append(r.Paths, imports.Path{Type: imports.Object, URI: "s3://bucket/" + entries[0].Key, Destination: "one"})
	if done := f.do(s, r); done.State != imports.Completed {
		t.Fatalf("the import is %s: %s", done.State, done.Error)
	}
	_, err := s.IngestRange(t.Context(), "repo", Ingest{FromSourceURI: "s3://bucket/dir/"})
	expect.NoError(t, err)
	for _, address := range []string{"s3://bucket/" + entries[0].Key, "s3://repo/ns/data/o"} {
		_, err := s.Content(t.Context(), "repo", entry.Entry{Key: "k", Address: address})
		expect.NoError(t, err)
	}
}
