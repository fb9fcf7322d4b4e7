package inspect_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/inspect"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// A tree that a lakeFS server wrote is verified in the namespace of its repository. A range
// file that is missing is a fault.
func TestVerify(t *testing.T) {
	listings, err := golden.Load()
	expect.NoError(t, err)
	tree := listings[0]
	store := &memstore.Store{}
	files := namespace.New(store, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: "repo", Key: "ns"})
	for id, data := range tree.Files {
		expect.NoError(t, files.Put(t.Context(), id, data, sha256.Sum256(data)))
	}
	c := catalog.New(new(kvtest.Memory))
	_, err = c.CreateRepository(t.Context(), catalog.Repository{ID: "repo", StorageNamespace: "s3://repo/ns", DefaultBranch: "main"})
	expect.NoError(t, err)
	i := inspect.New(inspect.Config{Repository: c.Repository, Stores: memstore.Buckets{"repo": store}})

	verify := func() (ranges int, count int64, faults int) {
		all, err := i.Verify(t.Context(), "repo", tree.MetarangeID, "")
		expect.NoError(t, err)
		for v, err := range all {
			expect.NoError(t, err)
			ranges, count = ranges+1, count+v.Range.Count
			if v.Fault != nil {
				faults++
			}
		}
		return ranges, count, faults
	}
	if ranges, count, faults := verify(); ranges != len(tree.Files)-1 || count != int64(len(tree.Entries)) || faults != 0 {
		t.Errorf("%d ranges of %d, %d entries of %d, %d faults", ranges, len(tree.Files)-1, count, len(tree.Entries), faults)
	}
	for id := range tree.Files {
		if id != tree.MetarangeID {
			store.Remove("ns/_lakefs/" + id)
			break
		}
	}
	if _, _, faults := verify(); faults != 1 {
		t.Errorf("%d faults without one file", faults)
	}
	for _, c := range []struct{ repository, id string }{
		{"none", tree.MetarangeID}, {"repo", strings.Repeat("0", 64)}, {"repo", "../x"}, {"repo", ""},
	} {
		if _, err := i.Verify(t.Context(), c.repository, c.id, ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v, want NotFound", c, err)
		}
	}
}
