package lakefsserver_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// An import from a source that is not listed here is lakeFS's, if the settings say so: it is
// answered as lakeFS answers it, with an ID of lakeFS. Others are served here.
func TestImportsFromOtherSourcesAreHandedOn(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	sources := namespaces(t)
	expect.NoError(t, ceph.Put(t.Context(), strings.TrimPrefix(sources, "s3://"), []string{"a/1"}, func(key string) string { return "of " + key }))
	endpoint, _ := runRangefleet(t, ceph.Endpoint,
		"RANGEFLEET_CATALOG_KIND=lakefs", "RANGEFLEET_LAKEFS_URL="+server.Endpoint, "RANGEFLEET_LAKEFS_PROXY=true", "RANGEFLEET_LAKEFS_OTHER_SOURCES=hand_on",
		"RANGEFLEET_LAKEFS_ACCESS_KEY_ID="+lakefstest.Admin.AccessKeyID, "RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY="+lakefstest.Admin.SecretAccessKey,
		"RANGEFLEET_SOURCES_ALLOW="+sources)
	direct := newRepository(t, server, "repo")
	through := direct.As(endpoint, lakefstest.Admin)
	for _, source := range []string{"gs://bucket/a/", "https://account.blob.core.windows.net/container/a/"} {
		want := startAndEnd(t, direct, source)
		if got := startAndEnd(t, through, source); got != want || strings.Contains(got, "sources.allow") {
			t.Errorf("%s: the import ends %q, want %q", source, got, want)
		}
	}
	a := through.In(t, "POST", "/branches/main/import", body(sources+"/a/", "ours/")).Is(t, http.StatusAccepted, "")
	if id := lakefstest.Into[struct{ ID string }](t, a).ID; !strings.HasPrefix(id, "rf-") {
		t.Errorf("an import from S3 is %s", id)
	}
	through.Call(t, "GET", "/config", nil).Is(t, http.StatusOK, `"import_validity_regex":"^s3://"`) // both say the same
}

// startAndEnd starts an import, and returns why it failed, or why it was not accepted.
func startAndEnd(t *testing.T, repo lakefstest.Repository, source string) (message string) {
	t.Helper()
	a := repo.In(t, "POST", "/branches/main/import", body(source, "theirs/"))
	if a.Status != http.StatusAccepted {
		return a.Message()
	}
	id := lakefstest.Into[struct{ ID string }](t, a).ID
	if strings.HasPrefix(id, "rf-") {
		t.Errorf("the import of %s is %s", source, id)
	}
	expect.Eventually(t, "end of the import", func() bool {
		s := lakefstest.Into[status](t, repo.In(t, "GET", "/branches/main/import?id="+id, nil).Is(t, http.StatusOK, ""))
		if s.Error != nil {
			message = s.Error.Message
		}
		return s.Completed || s.Error != nil
	})
	return message
}
