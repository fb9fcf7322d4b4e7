package lakefsserver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// lakeFS's own import removes all keys that start with the destination, though what it imports
// lies below the destination and a slash.
func TestImportOfLakeFSRemovesByPrefix(t *testing.T) {
	repo := start(t)
	for _, path := range []string{"r/old", "readme.txt", "z"} {
		repo.Put(t, "main", path, "")
	}
	repo.CommitAll(t, "main", "siblings of the destination")
	source := strings.TrimPrefix(namespaces(t), "s3://") + "-source"
	expect.NoError(t, ceph.Load(t.Context(), source, []string{"new", "zz"}))
	if message := lakefsImport(t, repo, "main", "s3://"+source+"/", "r"); message != "" {
		t.Fatal(message)
	}
	if got := repo.Paths(t, "main"); !slices.Equal(got, []string{"data/a", "data/b", "other/c", "r/new", "r/zz", "z"}) {
		t.Errorf("the branch has %q", got)
	}
}
