package lakefsserver_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// A lakeFS server restores a dump of the refs of a coordinator that has its own catalog: the
// repository has the same branches, tags, commits and objects there, and goes on from them.
func TestALakeFSServerRestoresADump(t *testing.T) {
	t.Parallel()
	bucket := namespaces(t)
	source := strings.TrimPrefix(bucket, "s3://") + "-source"
	expect.NoError(t, ceph.CreateBucket(t.Context(), source))
	expect.NoError(t, ceph.Put(t.Context(), source, []string{"data/a", "data/b", "more/c"}, func(key string) string { return key }))
	ours := lakefstest.NewClient(startRangefleet(t, ceph.Endpoint, lakefstest.Admin), lakefstest.Admin).CreateRepository(t, "moving", bucket+"/moving")
	fill(t, ours, "s3://"+source)

	manifest := filepath.Join(t.TempDir(), "manifest.json")
	lakectl(t, ours.Endpoint, "refs-dump", "lakefs://moving", "--output", manifest)
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	lakectl(t, server.Endpoint, "repo", "create-bare", "lakefs://moving", ours.Namespace)
	lakectl(t, server.Endpoint, "refs-restore", "lakefs://moving", "--manifest", manifest)

	theirs := ours.As(server.Endpoint, lakefstest.Admin)
	for _, path := range []string{
		"/branches?show_hidden=true", "/tags", "/refs/main/commits", "/refs/dev/commits", "/refs/hidden/commits", "/refs/v1.0/commits", "/refs/empty/commits",
		"/refs/main/objects/ls", "/refs/dev/objects/ls", "/refs/v1.0/objects/ls", "/refs/empty/objects/ls", "/refs/v1.0/diff/main",
	} {
		got, want := results(t, theirs.In(t, http.MethodGet, path, nil)), results(t, ours.In(t, http.MethodGet, path, nil))
		if !slices.Equal(got, want) {
			t.Errorf("%s: lakeFS answers\n%q\nRangefleet answers\n%q", path, got, want)
		}
	}
	for _, path := range []string{"data/a", "data/b"} {
		theirs.In(t, http.MethodGet, "/refs/v1.0/objects?path="+path, nil).Is(t, http.StatusOK, path)
	}
	lakectl(t, server.Endpoint, "refs-dump", "lakefs://moving") // it can be moved on

	theirs.Put(t, "main", "new", "")
	if c := theirs.CommitAll(t, "main", "the first one there"); !slices.Equal(c.Parents, []string{ours.Head(t, "main")}) {
		t.Errorf("the next commit is %+v", c)
	}
	if got, want := theirs.Paths(t, "main"), append(ours.Paths(t, "main"), "new"); !slices.Equal(got, want) {
		t.Errorf("afterwards lakeFS has %q, want %q", got, want)
	}
}

// fill makes branches, tags and commits of all kinds.
func fill(t *testing.T, repo lakefstest.Repository, source string) {
	t.Helper()
	create := func(path string, body object) { repo.In(t, http.MethodPost, path, body).Is(t, http.StatusCreated, "") }
	create("/branches", object{"name": "empty", "source": "main"})
	if message := lakefsImport(t, repo, "main", source+"/data/", "data/"); message != "" {
		t.Fatal(message)
	}
	create("/tags", object{"id": "v1.0", "ref": "main"})
	create("/tags", object{"id": "größer~1", "ref": "main~1"})
	create("/branches", object{"name": "dev", "source": "main"})
	create("/branches", object{"name": "hidden", "source": "main", "hidden": true})
	if message := lakefsImport(t, repo, "dev", source+"/more/", "more/"); message != "" {
		t.Fatal(message)
	}
	repo.In(t, http.MethodPost, "/refs/dev/merge/main", object{"metadata": object{"b": "2", "a": "", "ü": "1"}}).Is(t, http.StatusOK, "")
	create("/branches/dev/commits", object{"message": "nothing\nbut \"text\"", "allow_empty": true, "date": 0})
	repo.In(t, http.MethodPost, "/branches/main/revert", object{"ref": "main", "parent_number": 1}).Is(t, http.StatusNoContent, "")
}

// results returns the results of a page, each as JSON with sorted names, sorted: in a log of
// lakeFS the order of commits of the same second is any. It leaves out empty metadata, as
// lakeFS does for objects.
func results(t *testing.T, a lakefstest.Answer) (all []string) {
	t.Helper()
	for _, r := range lakefstest.Into[struct{ Results []map[string]any }](t, a.Is(t, http.StatusOK, "")).Results {
		if m, ok := r["metadata"].(map[string]any); ok && len(m) == 0 {
			delete(r, "metadata")
		}
		text, err := json.Marshal(r)
		expect.NoError(t, err)
		all = append(all, string(text))
	}
	slices.Sort(all)
	return all
}

// lakectl runs lakectl, which must succeed.
func lakectl(t *testing.T, endpoint string, args ...string) {
	t.Helper()
	if out, code := lakefstest.Lakectl(t, endpoint, lakefstest.Admin, args...); code != 0 {
		t.Fatalf("lakectl %q: exit code %d\n%s", args, code, out)
	}
}
