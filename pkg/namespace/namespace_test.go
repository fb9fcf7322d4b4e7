package namespace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// memory is a store in memory. Every call returns err, if it is set.
type memory struct {
	objects map[string][]byte
	err     error
}

func (m *memory) List(context.Context, string, string, objectstore.ListOptions) iter.Seq2[[]objectstore.Listed, error] {
	panic("a namespace never lists")
}

func (m *memory) Stat(_ context.Context, key string) (objectstore.Object, error) {
	if _, err := m.Get(context.Background(), key, 0); err != nil {
		return objectstore.Object{}, err
	}
	return objectstore.Object{Key: key}, nil
}

func (m *memory) Get(_ context.Context, key string, _ int64) ([]byte, error) {
	data, ok := m.objects[key]
	if !ok && m.err == nil {
		return nil, fmt.Errorf("get %s: %w", key, objectstore.ErrNotFound)
	}
	return data, m.err
}

func (m *memory) GetRange(ctx context.Context, key string, offset, n int64) ([]byte, int64, error) {
	data, err := m.Get(ctx, key, 0)
	if err != nil {
		return nil, 0, err
	}
	return data[offset:min(offset+n, int64(len(data)))], int64(len(data)), nil
}

func (m *memory) Put(_ context.Context, key string, body []byte, _ objectstore.Sum) error {
	if m.err == nil {
		m.objects[key] = bytes.Clone(body)
	}
	return m.err
}

var id = strings.Repeat("0123456789abcdef", 4)

func TestFilesLiveUnderTheDirectoryOfTheFormat(t *testing.T) {
	for uri, want := range map[string]string{
		"s3://bucket":             "_lakefs/" + id,
		"s3://bucket/":            "_lakefs/" + id,
		"s3://bucket/repo":        "repo/_lakefs/" + id,
		"s3://bucket/repo/":       "repo/_lakefs/" + id,
		"s3://bucket/a/b//":       "a/b/_lakefs/" + id,
		"s3://bucket//a":          "a/_lakefs/" + id,
		"local:///srv/data/repo":  "srv/data/repo/_lakefs/" + id,
		"local:///srv/data/repo/": "srv/data/repo/_lakefs/" + id,
	} {
		store := &memory{objects: map[string][]byte{}}
		files := open(t, store, uri)
		for range 2 { // storing again is harmless
			if err := files.Put(t.Context(), id, []byte("content"), objectstore.Sum{}); err != nil {
				t.Fatalf("%s: %v", uri, err)
			}
		}
		if got := store.objects[want]; len(store.objects) != 1 || string(got) != "content" {
			t.Errorf("%s: stored %v, want the content under %q alone", uri, store.objects, want)
		}
		if data, err := files.Get(t.Context(), id); err != nil || string(data) != "content" {
			t.Errorf("%s: Get = %q, %v", uri, data, err)
		}
	}
}

func TestMissingFile(t *testing.T) {
	files := open(t, &memory{}, "s3://bucket/repo")
	_, err := files.Get(t.Context(), id)
	if !errors.Is(err, objectstore.ErrNotFound) || !strings.Contains(err.Error(), "repo/_lakefs/"+id) {
		t.Errorf("Get of a missing file = %v, want ErrNotFound with its key", err)
	}
}

func TestErrorsOfTheStoreAreLeftAsTheyAre(t *testing.T) {
	files := open(t, &memory{err: objectstore.ErrRefused}, "s3://bucket/repo")
	_, getErr := files.Get(t.Context(), id)
	for call, err := range map[string]error{
		"Get": getErr, "Put": files.Put(t.Context(), id, nil, objectstore.Sum{}),
	} {
		if !errors.Is(err, objectstore.ErrRefused) || err.Error() != objectstore.ErrRefused.Error() {
			t.Errorf("%s = %v, want %v", call, err, objectstore.ErrRefused)
		}
	}
}

// An invalid namespace is refused before a store is opened.
func TestOpen(t *testing.T) {
	buckets := memstore.Buckets{"bucket": &memstore.Store{}}
	files, err := namespace.Open(t.Context(), buckets, "s3://bucket/repo")
	if err == nil {
		err = files.Put(t.Context(), id, []byte("content"), objectstore.Sum{})
	}
	if keys := buckets["bucket"].Keys(""); err != nil || len(keys) != 1 || keys[0] != "repo/_lakefs/"+id {
		t.Errorf("stored %q, %v", keys, err)
	}
	for _, bad := range []string{"", "bucket/repo", "s3://other/repo"} {
		if _, err := namespace.Open(t.Context(), buckets, bad); !errors.Is(err, objectstore.ErrRefused) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestNothingButAnIDBecomesAPath(t *testing.T) {
	store := &memory{objects: map[string][]byte{}}
	files := open(t, store, "s3://bucket/repo")
	for _, bad := range []string{
		"", id[1:], id + "0", strings.ToUpper(id), "../" + id[3:], strings.Repeat("g", 64), strings.Repeat("0", 63) + "\x00", "0" + strings.Repeat("/", 62) + "0",
	} {
		_, getErr := files.Get(t.Context(), bad)
		if getErr == nil || files.Put(t.Context(), bad, nil, objectstore.Sum{}) == nil {
			t.Errorf("%q was taken as an ID", bad)
		}
	}
	if len(store.objects) != 0 {
		t.Errorf("stored %v", store.objects)
	}
}

func open(t *testing.T, store objectstore.Store, uri string) *namespace.Files {
	t.Helper()
	parsed, err := objectstore.ParseURI(uri)
	if err != nil {
		t.Fatal(err)
	}
	return namespace.New(store, parsed)
}
