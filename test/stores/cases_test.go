package stores_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/stores/oddstore"
)

// modes are the modes of listings.
var modes = []string{"parallel", "walk"}

// numbered returns n keys.
func numbered(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprintf("data/f%05d", i))
	}
	return keys
}

// TestStores imports from stores that deviate from S3 in one way. The import is right, or it fails
// with an error that names the problem.
func TestStores(t *testing.T) {
	sub := []string{"data/a.csv", "data/b.csv", "data/sub/c.csv", "data/sub/deep/d.csv", "data/z.csv"}
	for _, tc := range []struct {
		name   string
		report string // URL of a report by a user
		faults oddstore.Faults
		set    map[string]string // settings
		keys   []string
		says   []string // words of the failure; nil if the import must succeed
		lists  int      // most LIST calls; 0 for any number
	}{
		{name: "none", keys: numbered(2500)},
		{
			name: "echoed encoding", report: "https://github.com/Alluxio/alluxio/pull/17097",
			faults: oddstore.Faults{EchoesEncoding: true},
			keys:   []string{"data/run_id=manual__2026-06-26T00:00:00+00:00/1.log", "data/run_id=manual__2026-06-27T00:00:00+00:00/1.log"},
		},
		{
			name: "echoed encoding that nothing shows", report: "https://github.com/Alluxio/alluxio/pull/17097",
			faults: oddstore.Faults{EchoesEncoding: true}, keys: []string{"data/a%20b", "data/a+b", "data/c%zz"},
		},
		{
			name: "hidden encoding", report: "https://github.com/minio/minio-go/pull/1723",
			faults: oddstore.Faults{HidesEncoding: true}, keys: []string{"data/a b", "data/a%20b", "data/a+b", "data/\u00e9"},
		},
		{name: "keys with + and %, encoded", keys: []string{"data/a b", "data/a%20b", "data/a+b", "data/c%zz"}},
		{
			name: "rolled up without a delimiter", report: "https://github.com/Alluxio/alluxio/issues/14189",
			faults: oddstore.Faults{RollsUp: true}, keys: sub, says: []string{`"data/sub/"`, "common prefix"},
		},
		{
			name: "another root element", report: "https://github.com/NVIDIA/aistore/issues/201",
			faults: oddstore.Faults{Root: "ListObjectResult", NoETags: true}, keys: sub,
		},
		{
			name:   "no IsTruncated in the last page", // no known server
			faults: oddstore.Faults{EndsUnsaid: true}, keys: numbered(1500),
		},
		{
			name: "unrequested compression", report: "https://github.com/archiecobbs/s3backer/issues/48",
			faults: oddstore.Faults{Compresses: true}, keys: numbered(1500),
		},
		{
			name: "rewritten Accept-Encoding", report: "https://github.com/aws/aws-sdk-go-v2/issues/1816",
			faults: oddstore.Faults{RewritesEncoding: true}, keys: numbered(2500),
		},
		{
			name: "another region", report: "https://github.com/awslabs/mountpoint-s3/issues/1",
			faults: oddstore.Faults{LivesIn: "ap-northeast-1"}, keys: sub, says: []string{"ap-northeast-1", "s3.region"},
		},
		{
			name: "pages of 100 by default", report: "https://www.alibabacloud.com/help/tc/oss/developer-reference/listobjects-v2",
			faults: oddstore.Faults{DefaultPage: 100}, keys: numbered(20_000), lists: 150, // 20 pages, and guesses
		},
		{
			name: "large pages time out", report: "https://github.com/rclone/rclone/issues/5166",
			faults: oddstore.Faults{LatePage: 200}, keys: numbered(2000),
		},
		{
			name: "large pages time out, and the setting", report: "https://github.com/rclone/rclone/pull/3828",
			faults: oddstore.Faults{LatePage: 200}, set: map[string]string{"s3.page_keys": "200"}, keys: numbered(2000), lists: 100,
		},
		{
			name: "a checksum is demanded", report: "https://github.com/aws/aws-sdk-php/issues/1694",
			faults: oddstore.Faults{DemandsChecksum: true}, keys: sub,
		},
		{
			name: "a checksum is refused", faults: oddstore.Faults{RefusesChecksum: true}, keys: sub, says: []string{"s3.put_checksums"},
		},
		{
			name: "a checksum is refused, and the setting", faults: oddstore.Faults{RefusesChecksum: true},
			set: map[string]string{"s3.put_checksums": "false"}, keys: sub,
		},
		{name: "markers without attributes", faults: oddstore.Faults{BareMarkers: true}, keys: append(slices.Clone(sub), "data/sub/", "data/sub/deep/")},
		{name: "a token that leads to the start", faults: oddstore.Faults{IgnoresTokens: true}, keys: numbered(2500)},
		{
			name: "the order of UTF-16", faults: oddstore.Faults{UTF16: true},
			keys: []string{"data/\ue000", "data/\U00010000"}, says: []string{"out of order", "s3.order"},
		},
		{
			name: "no order", faults: oddstore.Faults{UTF16: true}, set: map[string]string{"s3.order": "none"},
			keys: []string{"data/\ue000", "data/\U00010000"}, says: []string{"s3.order is none"},
		},
	} {
		for _, mode := range modes {
			t.Run(tc.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				if tc.report != "" {
					t.Log("reported at", tc.report)
				}
				store := oddstore.New(tc.faults, tc.keys...)
				set := map[string]string{"s3.listing": mode}
				for name, value := range tc.set {
					set[name] = value
				}
				got, failure := run(t, serve(t, store), set).imported("source/data/")
				if tc.says == nil {
					expectImported(t, store, got, failure, want("source", "data/", tc.keys...))
				}
				for _, words := range tc.says {
					if got != nil || !strings.Contains(failure, words) {
						t.Errorf("imported %d objects, failure %q, want a failure that contains %s", len(got), failure, words)
					}
				}
				if n := len(store.Lists()); tc.lists > 0 && n > tc.lists {
					t.Errorf("%d LIST calls, want at most %d", n, tc.lists)
				}
			})
		}
	}
}

// expectImported checks the imported objects.
func expectImported(t *testing.T, store *oddstore.Store, got []string, failure string, want []string) {
	t.Helper()
	slices.Sort(got)
	if failure != "" || !slices.Equal(got, want) {
		t.Errorf("imported %d objects by %d LIST calls: %.500q..., failure %q, want %d objects", len(got), len(store.Lists()), got, failure, len(want))
	}
}

// A redirect to another host is not followed, since the request would have no valid signature
// there. Reports are https://github.com/s3fs-fuse/s3fs-fuse/pull/1681 and
// https://github.com/mozilla/sccache/issues/265.
func TestRedirectToAnotherHost(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		other := oddstore.New(oddstore.Faults{}, "data/a")
		there, err := url.Parse(serve(t, other))
		if err != nil {
			t.Fatal(err)
		}
		store := oddstore.New(oddstore.Faults{RedirectsTo: there.Host}, "data/a")
		got, failure := run(t, serve(t, store), map[string]string{"s3.listing": mode}).imported("source/data/")
		if got != nil || !strings.Contains(failure, "edirect") || !strings.Contains(failure, there.Host) || !strings.Contains(failure, "s3.endpoint") {
			t.Errorf("%s: imported %q, failure %q, want a failure that names the host", mode, got, failure)
		}
		if asked := other.Requests(oddstore.Source); len(asked) > 0 {
			t.Errorf("%s: the other host got the requests %+v", mode, asked)
		}
	}
}

// A bucket of a Ceph tenant can be imported, and addresses contain the tenant's name.
func TestBucketOfATenant(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		keys := numbered(1200)
		store := oddstore.New(oddstore.Faults{Tenant: "tenant"}, keys...)
		got, failure := run(t, serve(t, store), map[string]string{"s3.listing": mode}).imported("tenant:source/data/")
		expectImported(t, store, got, failure, want("tenant:source", "data/", keys...))
	}
}

// The marker of the imported directory may be listed twice.
func TestMarkerListedTwice(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		keys := []string{"data/", "data/a"}
		store := oddstore.New(oddstore.Faults{ListsTwice: true}, keys...)
		p := run(t, serve(t, store), map[string]string{"s3.listing": mode})
		got, failure := p.imported("source/data") // without the slash, keys keep data/
		expectImported(t, store, got, failure, want("source", "", keys...))
	}
}

// An answer that is not a listing fails the import soon, with an error that shows the answer.
func TestJSONFailsTheImport(t *testing.T) {
	t.Parallel()
	store := oddstore.New(oddstore.Faults{Says: `{"objects": []}`}, "data/a")
	got, failure := run(t, serve(t, store), nil).imported("source/data/")
	if got != nil || !strings.Contains(failure, "application/json") || !strings.Contains(failure, "objects") {
		t.Errorf("imported %q, failure %q, want a failure that shows the answer", got, failure)
	}
}

// The errors for an unknown certificate authority and for a host that does not exist name the
// settings to change.
func TestUnreachableStores(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(oddstore.New(oddstore.Faults{}, "data/a"))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		set  map[string]string
		says []string
	}{
		"authority": {map[string]string{"s3.endpoint": secure.URL}, []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE"}},
		"host":      {map[string]string{"s3.endpoint": "http://store.invalid", "s3.force_path_style": "false"}, []string{"source.store.invalid", "s3.force_path_style"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.set["local.allowed"] = dir
			p := run(t, "", tc.set)
			for _, namespace := range []string{"s3://source/case", "local://" + dir + "/" + name} {
				p.namespace = namespace
				got, failure := p.imported("source/data/")
				for _, words := range tc.says {
					if got != nil || !strings.Contains(failure, words) {
						t.Errorf("to %s: imported %q, failure %q, want a failure that contains %s", namespace, got, failure, words)
					}
				}
			}
		})
	}
}

// A worker with credentials that the store does not know does not fail an import if another worker
// has valid ones, even if the store answers 404 XAdminUserNotFound, as the Versity gateway does.
func TestAWorkerThatTheStoreDoesNotKnow(t *testing.T) {
	t.Parallel()
	keys := numbered(1500)
	store := oddstore.New(oddstore.Faults{UnknownUsers: true}, keys...)
	endpoint := serve(t, store)
	p := run(t, endpoint, map[string]string{"workers": "0", "nats.listen": "127.0.0.1:0", "nats.insecure": "true"})
	p.work(endpoint, map[string]string{"workers": "2", "s3.access_key_id": "somebody"})
	type outcome struct {
		objects []string
		failure string
	}
	done := make(chan outcome, 1)
	go func() {
		objects, failure := p.imported("source/data/")
		done <- outcome{objects, failure}
	}()
	expect.Eventually(t, "the store refuses a worker", func() bool { return store.Refused() > 0 })
	p.work(endpoint, map[string]string{"workers": "2"})
	end := <-done
	expectImported(t, store, end.objects, end.failure, want("source", "data/", keys...))
}
