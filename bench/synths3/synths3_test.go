package synths3_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/bench/synths3"
	"github.com/rangefleet/rangefleet/internal/keyset"
)

// result is a decoded page.
type result struct {
	Name, Prefix, StartAfter, Delimiter, EncodingType string
	IsTruncated                                       bool
	KeyCount                                          *int
	NextContinuationToken                             string
	Contents                                          []struct {
		Key, ETag    string
		Size         int64
		LastModified time.Time
	}
	CommonPrefixes []struct{ Prefix string }
}

// items returns the decoded keys and common prefixes in order.
func (r result) items(t *testing.T) []string {
	t.Helper()
	var items []string
	for _, o := range r.Contents {
		items = append(items, o.Key)
	}
	for _, p := range r.CommonPrefixes {
		items = append(items, p.Prefix)
	}
	if r.EncodingType == "url" {
		for i := range items {
			var err error
			if items[i], err = url.QueryUnescape(items[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(r.CommonPrefixes) > 0 {
		slices.Sort(items)
	}
	return items
}

func start(t *testing.T, cfg synths3.Config) (*synths3.Server, string) {
	t.Helper()
	s := synths3.New(cfg)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// get returns the body of a 200 answer, or an error.
func get(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, err
}

func list(t *testing.T, url string, query url.Values) result {
	t.Helper()
	query.Set("list-type", "2")
	body, err := get(t, url+"?"+query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := xml.Unmarshal(body, &r); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return r
}

// walk lists all pages, by tokens or by start-after.
func walk(t *testing.T, url string, query url.Values, tokens bool) []string {
	t.Helper()
	var all []string
	for {
		r := list(t, url, query)
		items := r.items(t)
		if r.KeyCount == nil || *r.KeyCount != len(items) {
			t.Fatalf("the page has %d items and KeyCount %v", len(items), r.KeyCount)
		}
		all = append(all, items...)
		if !r.IsTruncated {
			if r.NextContinuationToken != "" {
				t.Fatal("the last page has a token")
			}
			return all
		}
		if tokens {
			query.Set("continuation-token", r.NextContinuationToken)
		} else {
			query.Set("start-after", items[len(items)-1])
		}
	}
}

// naive returns the items that a listing of sorted keys must hold.
func naive(keys []string, prefix, delimiter, after string) []string {
	var out []string
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= after {
			continue
		}
		if at := strings.Index(rest, delimiter); delimiter != "" && at >= 0 {
			key = prefix + rest[:at+len(delimiter)]
			if len(out) > 0 && out[len(out)-1] == key {
				continue
			}
		}
		out = append(out, key)
	}
	return out
}

// Listings of every shape with random parameters equal listings of a sorted slice of its keys.
func TestListingsEqualThoseOfASortedList(t *testing.T) {
	const seed = 11
	rnd := rand.New(rand.NewPCG(seed, 0))
	_, base := start(t, synths3.Config{})
	for _, shape := range keyset.Names() {
		t.Run(shape, func(t *testing.T) {
			const n = 700
			set, err := keyset.New(shape, n, 3)
			if err != nil {
				t.Fatal(err)
			}
			keys := make([]string, n)
			for i := range keys {
				keys[i] = set.Key(int64(i))
			}
			for round := range 30 {
				pick := func() string {
					key := []rune(keys[rnd.IntN(n)])
					return string(key[:rnd.IntN(len(key)+1)])
				}
				prefix, delimiter, after := pick(), []string{"", "/", "-", "0"}[rnd.IntN(4)], ""
				if rnd.IntN(3) == 0 {
					prefix = ""
				}
				if rnd.IntN(2) == 0 {
					after = pick()
				}
				query := url.Values{"encoding-type": {"url"}, "max-keys": {fmt.Sprint(1 + rnd.IntN(200))}}
				query.Set("prefix", prefix)
				query.Set("delimiter", delimiter)
				query.Set("start-after", after)
				// A listing by start-after would list a common prefix twice.
				got := walk(t, fmt.Sprintf("%s/%s-%d-3", base, shape, n), query, delimiter != "" || rnd.IntN(2) == 0)
				if want := naive(keys, prefix, delimiter, after); !slices.Equal(got, want) {
					at := 0
					for at < min(len(got), len(want)) && got[at] == want[at] {
						at++
					}
					t.Fatalf("seed %d round %d: prefix %q delimiter %q after %q: %d items, want %d; the first that differs is %d",
						seed, round, prefix, delimiter, after, len(got), len(want), at)
				}
			}
		})
	}
}

func TestPagesHoldAttributes(t *testing.T) {
	set := keyset.Of("a b&c+\u00e9\x01", "x")
	_, base := start(t, synths3.Config{Sets: map[string]keyset.Set{"odd": set}})
	body, err := get(t, base+"/odd?list-type=2&encoding-type=url")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<Key>a+b%26c%2B%C3%A9%01</Key>"; !strings.Contains(string(body), want) {
		t.Errorf("%s not in %s", want, body)
	}
	r := list(t, base+"/odd", url.Values{"encoding-type": {"url"}})
	o, want := r.Contents[1], set.Object(1)
	if o.Size != want.Size || o.LastModified.UnixMilli() != want.ModTime || o.ETag != fmt.Sprintf(`"%016x%016x"`, want.Hash[0], want.Hash[1]) {
		t.Errorf("object %+v, want %+v", o, want)
	}
	body, err = get(t, base+"/odd?list-type=2")
	if err != nil {
		t.Fatal(err)
	}
	if want := "<Key>a b&amp;c+\u00e9&#x1;</Key>"; !strings.Contains(string(body), want) {
		t.Errorf("%s not in %s", want, body)
	}
}

func request(t *testing.T, method, url, body string) (status int, answer string, header http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content), resp.Header
}

func TestObjects(t *testing.T) {
	s, base := start(t, synths3.Config{Buckets: []string{"ns"}, KeepBytes: 20})
	expect := func(method, path, body string, status int, answer string) http.Header {
		t.Helper()
		gotStatus, got, header := request(t, method, base+path, body)
		if gotStatus != status || !strings.Contains(got, answer) {
			t.Fatalf("%s %s: %d %q, want %d %q", method, path, gotStatus, got, status, answer)
		}
		return header
	}
	first := expect("PUT", "/ns/b/1", "content", 200, "").Get("ETag")
	if again := expect("PUT", "/ns/b/1", "CONTENT", 200, "").Get("ETag"); again == first || again == "" {
		t.Errorf("ETag %q after %q", again, first)
	}
	expect("PUT", "/ns/a", "much too much for it", 200, "")
	expect("GET", "/ns/b/1", "", 200, "CONTENT")
	expect("GET", "/ns/a", "", 403, "InvalidObjectState")
	if n := expect("HEAD", "/ns/a", "", 200, "").Get("Content-Length"); n != "20" {
		t.Errorf("Content-Length %q", n)
	}
	if got := walk(t, base+"/ns", url.Values{}, false); !slices.Equal(got, []string{"a", "b/1"}) {
		t.Errorf("listed %q", got)
	}
	expect("DELETE", "/ns/b/1", "", 204, "")
	expect("GET", "/ns/b/1", "", 404, "NoSuchKey")
	expect("PUT", "/ns/c", "fits again", 200, "")
	expect("GET", "/ns/c", "", 200, "fits again")
	expect("GET", "/none?list-type=2", "", 404, "NoSuchBucket")
	expect("PUT", "/none", "", 200, "")
	expect("GET", "/none?list-type=2", "", 200, "<KeyCount>0<")
	expect("PUT", "/md5-10/x", "", 403, "AccessDenied")
	key := keyOf(t, "md5", 10, 7)
	expect("HEAD", "/md5-10/"+key, "", 200, "")
	expect("HEAD", "/md5-10/"+key+"x", "", 404, "")
	expect("POST", "/ns/x?uploads", "", 501, "NotImplemented")
	if c := s.Counters(); c.BytesIn != 44 || c.Calls["put"] != 5 || c.Calls["list"] != 3 {
		t.Errorf("counters %+v", c)
	}
}

func keyOf(t *testing.T, shape string, n, i int64) string {
	t.Helper()
	s, err := keyset.New(shape, n, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s.Key(i)
}
