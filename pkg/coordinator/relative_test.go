package coordinator

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// written returns the record of an object of five bytes that lakeFS wrote at an address in the
// storage namespace. Its ETag is not that of the store.
func written(key, address string) table.Record {
	data := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), address)
	data = protowire.AppendVarint(protowire.AppendTag(data, 3, protowire.VarintType), 5)
	data = protowire.AppendString(protowire.AppendTag(data, 4, protowire.BytesType), "of-the-content")
	data = protowire.AppendVarint(protowire.AppendTag(data, 6, protowire.VarintType), 1)
	return table.Record{Key: []byte(key), Value: table.AppendValue(nil, []byte("identity of "+key), data)}
}

// Objects that were written through lakeFS are read where they lie, in the storage namespace.
func TestObjectsWrittenThroughLakeFS(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	f.repository("repo-2", "s3://repo/ns2")
	id, err := metarange.WriteRecords(t.Context(), f.files(), small, func(yield func(table.Record, error) bool) {
		_ = yield(written("a", "data/x/1"), nil) && yield(written("b", "data/gone"), nil) && yield(written("c", "../ns2/data/1"), nil)
	})
	expect.NoError(t, err)
	c, err := f.catalog.AddCommit(t.Context(), "repo", catalog.Commit{MetarangeID: id, Generation: 2})
	expect.NoError(t, err)
	for _, key := range []string{"ns/data/x/1", "ns2/data/1"} {
		expect.NoError(t, f.buckets["repo"].Put(t.Context(), key, []byte("12345"), [32]byte{}))
	}
	s := f.service()
	t.Cleanup(s.close)
	tree, err := s.Tree(t.Context(), "repo", c.ID)
	expect.NoError(t, err)
	items, _, err := tree.List(t.Context(), "", "", "", 10)
	if err != nil || len(items) != 3 || items[0].Entry.Address != "s3://repo/ns/data/x/1" || items[0].Entry.Size != 5 {
		t.Fatalf("list %+v, %v", items, err)
	}
	content := func(key string) (string, error) {
		e, err := tree.Stat(t.Context(), key)
		expect.NoError(t, err)
		parts, err := s.Content(t.Context(), "repo", e)
		expect.NoError(t, err)
		for part, err := range parts(t.Context(), 0, e.Size) {
			return string(part), err
		}
		return "", nil
	}
	if got, err := content("a"); err != nil || got != "12345" {
		t.Errorf("content %q, %v", got, err)
	}
	for _, key := range []string{"b", "c"} { // what looks like a step up is a part of the key
		if got, err := content(key); !fault.Is(err, fault.Gone) {
			t.Errorf("content of %s: %q, %v, want it to be gone", key, got, err)
		}
	}
}
