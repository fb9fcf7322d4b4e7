package lakefsserver_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// estiBucket is where lakeFS's system tests expect their sources.
const estiBucket = "esti-system-testing-data"

// estiSources makes the sources that lakeFS's system tests import: of most directories only the
// objects that they look for, and all of the one whose objects they count.
func estiSources(t *testing.T) {
	t.Helper()
	const size = 1024
	keys := []string{
		"nested/prefix-1/file002005", "nested/prefix-2/file001894", "nested/prefix-3/file000005", "nested/prefix-4/file000645",
		"nested/prefix-5/file001566", "nested/prefix-6/file002011", "nested/prefix-7/file000101",
		"prefix-2/file000568", "prefix-3/file001331", "prefix-4/file001888",
		"prefix-5/file000987", "prefix-6/file001556", "prefix-7/file000001",
	}
	for i := range 2100 {
		keys = append(keys, fmt.Sprintf("prefix-1/file%06d", i+1))
	}
	for i := range keys {
		keys[i] = "import-test-data/" + keys[i]
	}
	expect.NoError(t, ceph.CreateBucket(t.Context(), estiBucket))
	expect.NoError(t, ceph.Put(t.Context(), estiBucket, keys, func(key string) string {
		return key + strings.Repeat(" ", size-len(key))
	}))
}

// TestSystemTestsOnLakeFS shows that what they need is here.
func TestSystemTestsOnLakeFS(t *testing.T) {
	t.Parallel() // they wait most of the time
	estiSources(t)
	store := faultproxy.Start(t, ceph.Endpoint)
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: s3test.Server{
		Endpoint: store.URL, AccessKeyID: ceph.AccessKeyID, SecretAccessKey: ceph.SecretAccessKey,
	}})
	runEsti(t, server.Endpoint, namespaces(t), store, nil)
}

// TestSystemTestsOnRangefleet runs them against a coordinator without lakeFS.
func TestSystemTestsOnRangefleet(t *testing.T) {
	t.Parallel()
	estiSources(t)
	store := faultproxy.Start(t, ceph.Endpoint)
	runEsti(t, startRangefleet(t, store.URL, lakefstest.Admin), namespaces(t), store, nil)
}

// runEsti runs the system tests of imports against a server, whose store is seen through a
// proxy. Its repositories lie in a bucket. Each must pass, but those of failing must fail.
func runEsti(t *testing.T, endpoint, bucket string, store *faultproxy.Proxy, failing []string) {
	t.Helper()
	e := lakefstest.Esti{Endpoint: endpoint, User: lakefstest.Admin, Namespaces: bucket + "/"}
	wantEnds(t, e, "^(TestImport|TestImportToStorageNamespace|TestLakectlImport)$", failing)

	// TestImportCancel wants an import that takes longer than a second: it lists its source
	// only once it has been canceled.
	api := faultproxy.Start(t, e.Endpoint)
	hold, _, release := faultproxy.Hold()
	t.Cleanup(release)
	store.Add(faultproxy.Rule{Method: http.MethodGet, Path: regexp.MustCompile("^/" + estiBucket + "/?[?]"), Before: hold})
	api.Add(faultproxy.Rule{Method: http.MethodDelete, Path: regexp.MustCompile("/import[?]"), After: release})
	e.Endpoint = api.URL
	wantEnds(t, e, "^TestImportCancel$", failing)
}

// wantEnds runs system tests. Those of failing must fail, and all others must pass.
func wantEnds(t *testing.T, e lakefstest.Esti, tests string, failing []string) {
	t.Helper()
	ended, output := e.Run(t, tests)
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		want := "PASS"
		if slices.Contains(failing, name) {
			want = "FAIL"
		}
		if ended[name] != want {
			t.Errorf("%s: %s, want %s", name, ended[name], want)
		}
	}
	if len(ended) == 0 || t.Failed() {
		t.Fatalf("%d system tests ran\n%s", len(ended), process.Tail(output, 200))
	}
}
