package lakefsserver_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// startProxy starts a coordinator before a lakeFS server, whose store is seen through a proxy.
func startProxy(t *testing.T, server *lakefstest.Server, store, sources string) (endpoint string) {
	t.Helper()
	endpoint, _ = runProxy(t, server, store, sources)
	return endpoint
}

// runProxy is startProxy, and returns the process, too.
func runProxy(t *testing.T, server *lakefstest.Server, store, sources string) (endpoint string, p *process.Process) {
	t.Helper()
	return runRangefleet(t, store,
		"RANGEFLEET_CATALOG_KIND=lakefs", "RANGEFLEET_LAKEFS_URL="+server.Endpoint, "RANGEFLEET_LAKEFS_PROXY=true",
		"RANGEFLEET_LAKEFS_ACCESS_KEY_ID="+lakefstest.Admin.AccessKeyID, "RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY="+lakefstest.Admin.SecretAccessKey,
		"RANGEFLEET_SOURCES_ALLOW="+sources)
}

// TestSystemTestsThroughTheProxy runs lakeFS's own system tests of imports against a
// coordinator before a lakeFS server.
func TestSystemTestsThroughTheProxy(t *testing.T) {
	t.Parallel()
	estiSources(t)
	store := faultproxy.Start(t, ceph.Endpoint)
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: s3test.Server{
		Endpoint: store.URL, AccessKeyID: ceph.AccessKeyID, SecretAccessKey: ceph.SecretAccessKey,
	}})
	repositories := namespaces(t)
	runEsti(t, startProxy(t, server, store.URL, "s3://"+estiBucket+"/,"+repositories), repositories, store, nil)
}

// Everything but imports is lakeFS's: uploads, content, pages, its own imports by their IDs.
func TestWhatTheProxyHandsOn(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	sources := namespaces(t)
	expect.NoError(t, ceph.Put(t.Context(), strings.TrimPrefix(sources, "s3://"), []string{"a/1"}, func(key string) string { return "of " + key }))
	endpoint := startProxy(t, server, ceph.Endpoint, sources)
	repo := newRepository(t, server, "repo").As(endpoint, lakefstest.Admin)
	repo.Put(t, "main", "data/ü+ %2F", "") // an upload through the proxy
	repo.CommitAll(t, "main", "through the proxy")
	repo.In(t, "GET", "/refs/main/objects?path=data%2F%C3%BC%2B%20%252F", nil).Is(t, http.StatusOK, "data/ü+ %2F")
	repo.Call(t, "GET", "/config", nil).Is(t, http.StatusOK, `"import_validity_regex":"^s3://"`)

	direct := repo.As(server.Endpoint, lakefstest.Admin)
	a := direct.In(t, "POST", "/branches/main/import", body(sources+"/a/", "theirs/")).Is(t, http.StatusAccepted, "")
	id := lakefstest.Into[struct{ ID string }](t, a).ID
	expect.Within(t, expect.Patience, "end of lakeFS's import", func(context.Context) (bool, error) {
		s := lakefstest.Into[status](t, repo.In(t, "GET", "/branches/main/import?id="+id, nil).Is(t, http.StatusOK, ""))
		return s.Completed, nil
	})
	if out, code := lakefstest.Lakectl(t, endpoint, lakefstest.Admin, "import", "--from", sources+"/a/", "--to", "lakefs://repo/main/ours/", "--no-progress"); code != 0 {
		t.Errorf("lakectl import ends with %d: %s", code, out)
	}
	repo.In(t, "GET", "/refs/main/objects?path=ours/1", nil).Is(t, http.StatusOK, "of a/1")
	if c := repo.Log(t, "main")[0]; !regexp.MustCompile("^rf-").MatchString(c.Metadata["rangefleet.import"]) {
		t.Errorf("the head is %+v, want a commit of the fleet", c)
	}
}
