package s3store_test

import (
	"errors"
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// keyStore lists its keys, in pages of as many as it is asked for, as write writes them.
type keyStore struct {
	keys   []string // sorted
	write  func(string) string
	claims bool // that keys are URL-encoded
	lists  int
}

func (s *keyStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.lists++
	q := r.URL.Query()
	var most int
	_, _ = fmt.Sscan(q.Get("max-keys"), &most)
	var page []string
	more := false
	for _, key := range s.keys {
		if !strings.HasPrefix(key, q.Get("prefix")) || key <= q.Get("start-after") {
			continue
		}
		if more = len(page) == most; more {
			break
		}
		page = append(page, html.EscapeString(s.write(key)))
	}
	head := ""
	if s.claims {
		head = encoded
	}
	fmt.Fprint(w, result(more, head, page...))
}

// writers are the ways in which stores write keys.
var writers = map[string]func(string) string{
	"as a query": func(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") },
	"as a path":  func(key string) string { return (&url.URL{Path: "/" + key}).EscapedPath()[1:] }, // leaves + = : & $
	"escaped":    func(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "+", "%20") },
	"as it is":   func(key string) string { return key },
}

// A key with a literal + or % is listed as it is, however the store encodes keys and
// whatever it says of that, at the cost of some calls for each bucket. The reports are
// https://github.com/Alluxio/alluxio/pull/17097, of a store that says that it encodes and
// does not, and https://github.com/minio/minio-go/pull/1723, of one that does and does not
// say so.
func TestKeysAsTheyAre(t *testing.T) {
	rng := seeded.Rand(t)
	for name, write := range writers {
		for _, claims := range []bool{true, false} {
			for _, pageKeys := range []int{1, 3, 1000} {
				s := &keyStore{write: write, claims: claims}
				server := httptest.NewServer(s)
				client := connect(t, server.URL, func(c *s3store.Config) { c.PageKeys = pageKeys })
				for round := range 40 {
					s.keys, s.lists = someKeys(rng), 0
					store, err := client.Bucket(fmt.Sprint("bucket", round))
					expect.NoError(t, err)
					got, err := list(t, store, "", "")
					if err != nil || !slices.Equal(got, s.keys) || s.lists > len(s.keys)/pageKeys+1+8 {
						t.Fatalf("written %s, claimed to be: %v, %d keys a page: listed %q, %v, by %d calls, want %q",
							name, claims, pageKeys, got, err, s.lists, s.keys)
					}
				}
				server.Close()
			}
		}
	}
}

// someKeys returns sorted keys that are read in different ways.
func someKeys(rng *rand.Rand) (keys []string) {
	parts := []string{"a", "b", "+", "%", "%20", "%2B", " ", "=", "/", "é", "%25", "&", ":"}
	for range rng.IntN(12) {
		key := ""
		for range 1 + rng.IntN(5) {
			key += parts[rng.IntN(len(parts))]
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// What was found out about a bucket is kept: later listings do not ask again.
func TestAskedOnce(t *testing.T) {
	s := &keyStore{keys: []string{"a b", "c%20d", "e+f"}, write: writers["as a query"], claims: true}
	store := serve(t, s, nil)
	for calls := range 3 {
		s.lists = 0
		if got, err := list(t, store, "", ""); err != nil || !slices.Equal(got, s.keys) {
			t.Fatalf("listed %q, %v", got, err)
		}
		if calls > 0 && s.lists != 1 {
			t.Errorf("%d calls, want one for the page", s.lists)
		}
	}
}

// Ceph encodes all keys if it says so. It is not asked.
func TestCephIsNotAsked(t *testing.T) {
	for header, value := range map[string]string{
		"Server":           "Ceph Object Gateway (squid)",
		"X-Amz-Request-Id": "tx00000d2a9a4a9ab5a1cd4-0067a1b2c3-1043-default",
	} {
		s := &keyStore{keys: []string{"a b", "c%20d", "e+f"}, write: writers["escaped"], claims: true}
		ceph := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			s.ServeHTTP(w, r)
		})
		got, err := list(t, serve(t, ceph, nil), "", "")
		if err != nil || !slices.Equal(got, s.keys) || s.lists != 1 {
			t.Errorf("%s: listed %q, %v, by %d calls, want %q by one", header, got, err, s.lists, s.keys)
		}
	}
}

// A key fails the listing if the store does not show how it is encoded.
func TestUndecidedKey(t *testing.T) {
	silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("prefix") == "" {
			fmt.Fprint(w, result(false, encoded, "a+b"))
			return
		}
		fmt.Fprint(w, result(false, encoded)) // of a key that it has listed
	})
	echo := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, result(false, encoded, "a+b")) })
	for name, handler := range map[string]http.Handler{"neither is there": silent, "both are there": echo} {
		got, err := list(t, serve(t, handler, nil), "", "")
		if !errors.Is(err, objectstore.ErrBadListing) || !strings.Contains(err.Error(), `"a+b"`) || len(got) > 0 {
			t.Errorf("%s: listed %q, %v, want ErrBadListing that names the key", name, got, err)
		}
	}
}

// serve returns a bucket on a server with the handler.
func serve(t *testing.T, h http.Handler, change func(*s3store.Config)) objectstore.Store {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return open(t, server.URL, "bucket", change)
}

// open returns a bucket on the server at an endpoint.
func open(t *testing.T, endpoint, bucket string, change func(*s3store.Config)) objectstore.Store {
	t.Helper()
	store, err := connect(t, endpoint, change).Bucket(bucket)
	expect.NoError(t, err)
	return store
}

// connect returns a client of the server at an endpoint.
func connect(t *testing.T, endpoint string, change func(*s3store.Config)) *s3store.Client {
	t.Helper()
	cfg := s3store.Config{
		Endpoint: endpoint, Region: "us-east-1", ForcePathStyle: true,
		AccessKeyID: "id", SecretAccessKey: "the-secret",
	}
	if change != nil {
		change(&cfg)
	}
	client, err := s3store.New(t.Context(), cfg)
	expect.NoError(t, err)
	return client
}
