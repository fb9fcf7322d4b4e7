package s3store_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// everyCall makes each kind of call of a store, and returns the errors.
func everyCall(ctx context.Context, t *testing.T, s objectstore.Store) map[string]error {
	t.Helper()
	_, errList := list(t, s, "", "")
	_, errPage := s.(objectstore.Pager).ListPage(ctx, "", "", func([]objectstore.Listed) {})
	_, errStat := s.Stat(ctx, "k")
	_, errGet := s.Get(ctx, "k", 10)
	_, _, errRange := s.GetRange(ctx, "k", 0, 10)
	return map[string]error{
		"list": errList, "page": errPage, "stat": errStat, "get": errGet, "range": errRange,
		"put": s.Put(ctx, "k", []byte("body"), objectstore.Sum{}),
	}
}

// No call signs Accept-Encoding, which Google's front end rewrites before signatures are
// checked, and none sends it. The report is https://github.com/aws/aws-sdk-go-v2/issues/1816.
func TestAcceptEncodingIsNotSigned(t *testing.T) {
	calls := 0
	store := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		if signed := r.Header.Get("Authorization"); signed == "" || strings.Contains(signed, "encoding") || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("%s %s: Accept-Encoding %q, Authorization %q", r.Method, r.URL, r.Header.Get("Accept-Encoding"), signed)
		}
		if r.Method == http.MethodGet && r.URL.Query().Has("list-type") {
			fmt.Fprint(w, result(false, "", "k"))
		}
	}), nil)
	for name, err := range everyCall(t.Context(), t, store) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if calls < 6 {
		t.Errorf("%d calls", calls)
	}
}

// A redirect is not followed, since the signature is not valid elsewhere: the errors name the
// endpoint and the region. The reports are
// https://github.com/s3fs-fuse/s3fs-fuse/pull/1681 and https://github.com/awslabs/mountpoint-s3/issues/1.
func TestRedirects(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		head   http.Header
		body   string
		says   []string
	}{
		{
			"to another host", 307,
			http.Header{"Location": {"http://elsewhere.invalid:1/bucket"}},
			"<Error><Code>TemporaryRedirect</Code><Message>Go there.</Message><Endpoint>elsewhere.invalid:1</Endpoint></Error>",
			[]string{"TemporaryRedirect", `"elsewhere.invalid:1"`, "s3.endpoint"},
		},
		{"without words", 308, http.Header{"Location": {"http://elsewhere.invalid:1/bucket"}}, "", []string{"elsewhere.invalid:1/bucket", "s3.endpoint"}},
		{
			"to another region", 301,
			http.Header{"X-Amz-Bucket-Region": {"ap-northeast-1"}},
			"<Error><Code>PermanentRedirect</Code><Message>Use the endpoint.</Message><Endpoint>bucket.s3.ap-northeast-1.amazonaws.com</Endpoint></Error>",
			[]string{"PermanentRedirect", `"ap-northeast-1"`, "bucket.s3.ap-northeast-1.amazonaws.com", "s3.region"},
		},
		{
			"signed for another region", 400, nil,
			"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The region is wrong.</Message><Region>eu-west-1</Region></Error>",
			[]string{"AuthorizationHeaderMalformed", `"eu-west-1"`, "s3.region"},
		},
		{"to nowhere", 301, nil, "", []string{"status 301", "s3.endpoint"}},
	} {
		store := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range tc.head {
				w.Header()[name] = values
			}
			w.WriteHeader(tc.status)
			fmt.Fprint(w, tc.body)
		}), nil)
		for call, err := range everyCall(t.Context(), t, store) {
			if !errors.Is(err, objectstore.ErrSettings) {
				t.Errorf("%s: %s: %v, want ErrSettings", tc.name, call, err)
			}
			for _, words := range tc.says {
				if err != nil && !strings.Contains(err.Error(), words) {
					t.Errorf("%s: %s: %v, want it to say %s", tc.name, call, err, words)
				}
			}
		}
	}
}

// TestPutChecksums puts objects where a checksum is demanded, and where it is refused. The
// report of the former is https://github.com/aws/aws-sdk-php/issues/1694.
func TestPutChecksums(t *testing.T) {
	const body = "12345"
	sum := sha256.Sum256([]byte(body))
	want := base64.StdEncoding.EncodeToString(sum[:])
	demands := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Checksum-Sha256"); got != want || r.Header.Get("X-Amz-Trailer") != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, "<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP header is required</Message></Error>")
		}
	})
	store := serve(t, demands, nil)
	expect.NoError(t, store.Put(t.Context(), "k", []byte(body), objectstore.Sum{}))
	expect.NoError(t, store.Put(t.Context(), "k", []byte(body), sum))

	refuses := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Checksum-Sha256") != "" {
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, "<Error><Code>NotImplemented</Code><Message>A header implies what is not there.</Message></Error>")
		}
	})
	if err := serve(t, refuses, nil).Put(t.Context(), "k", []byte(body), objectstore.Sum{}); !errors.Is(err, objectstore.ErrRefused) || !strings.Contains(err.Error(), "s3.put_checksums") {
		t.Errorf("%v, want ErrRefused that names the setting", err)
	}
	expect.NoError(t, serve(t, refuses, func(c *s3store.Config) { c.NoPutChecksums = true }).Put(t.Context(), "k", []byte(body), objectstore.Sum{}))
}

// late sends 504 for a page of more keys than it can list in time. The report is
// https://github.com/rclone/rclone/issues/5166.
type late struct {
	keyStore
	most  int
	asked []string // max-keys
}

func (l *late) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.asked = append(l.asked, r.URL.Query().Get("max-keys"))
	var keys int
	_, _ = fmt.Sscan(r.URL.Query().Get("max-keys"), &keys)
	if keys > l.most {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusGatewayTimeout)
		fmt.Fprint(w, "<html><body>The server did not respond in time.</body></html>")
		return
	}
	l.keyStore.ServeHTTP(w, r)
}

// TestPagesGetSmaller lists a store that cannot list large pages in time.
func TestPagesGetSmaller(t *testing.T) {
	l := &late{keyStore: keyStore{write: writers["as it is"]}, most: 200}
	for i := range 600 {
		l.keys = append(l.keys, fmt.Sprintf("%04d", i))
	}
	var mu sync.Mutex
	smaller := 0
	store := serve(t, l, func(c *s3store.Config) {
		c.Resized = func(larger bool) {
			mu.Lock()
			defer mu.Unlock()
			if !larger {
				smaller++
			}
		}
	})
	pager, failures, after := store.(objectstore.Pager), 0, ""
	var got []string
	for more := true; more && failures < 8; {
		var err error
		more, err = pager.ListPage(t.Context(), "", after, func(page []objectstore.Listed) {
			for _, o := range page {
				got = append(got, string(o.Key))
			}
			after = got[len(got)-1]
		})
		if err != nil {
			more = true
			failures++
		}
	}
	if !slices.Equal(got, l.keys) || failures != 4 || smaller != 3 {
		t.Errorf("listed %d keys after %d failures, by pages of %v", len(got), failures, l.asked)
	}
}

func TestPageKeysAreAskedFor(t *testing.T) {
	for keys, want := range map[int]string{0: "1000", 7: "7"} {
		f, store := start(t, func(c *s3store.Config) { c.PageKeys = keys }, result(false, ""), result(false, ""))
		if _, err := listPages(t, store, "", ""); err != nil {
			t.Fatal(err)
		}
		for _, q := range f.queries {
			if q.Get("max-keys") != want {
				t.Errorf("asked for %q keys, want %s", q.Get("max-keys"), want)
			}
		}
	}
}

// The error for a store that cannot be reached names what to set.
func TestUnreachable(t *testing.T) {
	secure := httptest.NewTLSServer(&faulty{})
	defer secure.Close()
	plain := httptest.NewServer(&faulty{})
	defer plain.Close()
	for _, tc := range []struct {
		name, endpoint string
		hosts          bool // buckets are named in the host
		says           []string
	}{
		{"an authority that is not known", secure.URL, false, []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE"}},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), false, []string{"s3.endpoint", "http://"}},
		{"a host that does not exist", "http://store.invalid", false, []string{"store.invalid", "s3.endpoint"}},
		{"a host of the bucket that does not exist", "http://store.invalid", true, []string{"bucket.store.invalid", "s3.force_path_style"}},
	} {
		store := open(t, tc.endpoint, "bucket", func(c *s3store.Config) { c.ForcePathStyle = !tc.hosts })
		for call, err := range everyCall(t.Context(), t, store) {
			if !errors.Is(err, objectstore.ErrSettings) {
				t.Errorf("%s: %s: %v, want ErrSettings", tc.name, call, err)
				continue
			}
			for _, words := range tc.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%s: %s: %v, want it to say %s", tc.name, call, err, words)
				}
			}
		}
	}
}

// TestCheckTrust names files that hold no certificates.
func TestCheckTrust(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	expect.NoError(t, os.WriteFile(empty, []byte("no certificate"), 0o600))
	for _, name := range []string{"AWS_CA_BUNDLE", "SSL_CERT_FILE"} {
		for _, path := range []string{filepath.Join(dir, "missing.pem"), empty, dir} {
			err := s3store.CheckTrust(func(n string) string { return map[string]string{name: path}[n] })
			if !errors.Is(err, objectstore.ErrSettings) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s=%s: %v, want ErrSettings that names both", name, path, err)
			}
		}
	}
	expect.NoError(t, s3store.CheckTrust(func(string) string { return "" }))
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(dir, "missing.pem"))
	_, err := s3store.New(t.Context(), s3store.Config{AccessKeyID: "id", SecretAccessKey: "s"})
	if !errors.Is(err, objectstore.ErrSettings) || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("%v, want ErrSettings that names the file", err)
	}
}
