package lakefsserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// A coordinator with a catalog of its own reads what was written through lakeFS: the objects lie
// in the storage namespace, and their addresses are relative to it.
func TestObjectsWrittenThroughLakeFSAreRead(t *testing.T) {
	t.Parallel()
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	theirs := newRepository(t, server, "written")
	theirs.PutContent(t, "main", "large", strings.Repeat("0123456789abcdef", 1<<20))
	theirs.PutContent(t, "main", "empty", "")
	head := theirs.CommitAll(t, "main", "objects")

	ours := lakefstest.NewClient(startRangefleet(t, ceph.Endpoint, lakefstest.Admin), lakefstest.Admin).CreateRepository(t, "written", theirs.Namespace)
	ours.In(t, http.MethodPost, "/branches/main/commits?source_metarange="+head.MetarangeID, object{"message": "m"}).Is(t, http.StatusCreated, "")
	const ls = "/refs/main/objects/ls"
	if got, want := results(t, ours.In(t, http.MethodGet, ls, nil)), results(t, theirs.In(t, http.MethodGet, ls, nil)); !slices.Equal(got, want) {
		t.Errorf("Rangefleet lists\n%q\nlakeFS lists\n%q", got, want)
	}
	for _, path := range []string{"data/a", "large", "empty"} {
		path = "/refs/main/objects?path=" + path
		if got, want := ours.In(t, http.MethodGet, path, nil), theirs.In(t, http.MethodGet, path, nil); got.Status != http.StatusOK || got.Body != want.Body {
			t.Errorf("%s: %d, %d bytes, want %d", path, got.Status, len(got.Body), len(want.Body))
		}
	}
}
