package lakefsserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/test/lakefsserver/exchange"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
	"github.com/rangefleet/rangefleet/test/lakefsserver/mix"
)

// side is a way to a lakeFS server, and the repository that is used by it.
type side struct {
	mix.Names
	conn *exchange.Conn
}

// What differs from one answer to the same request to the next.
var (
	ignored = []string{"Date", "Connection", "Keep-Alive", "X-Request-Id", "X-Amz-Request-Id"}
	varying = []struct {
		is *regexp.Regexp
		as string
	}{
		{regexp.MustCompile(`[0-9a-f]{64}`), "{id}"},
		{regexp.MustCompile(`data/[0-9a-z]{20}/[0-9a-z]{20}`), "{address}"},
		{regexp.MustCompile(`"(mtime|creation_date|last_modified|token_expiration)":[0-9]+`), `"$1":0`},
		{regexp.MustCompile(`"(token|upload_id|request_id)":"[^"]*"`), `"$1":""`},
		{regexp.MustCompile(`run id '[0-9a-z]+'`), "run id"},
		{regexp.MustCompile(`RequestID: [^,]*, HostID: [^,]*,`), "request"}, // of the store
		{regexp.MustCompile(`(boundary=|--)[0-9a-f]{60}`), "$1"},            // of several ranges
		{regexp.MustCompile(`<(LastModified|CreationDate|RequestId|UploadId|NextUploadIdMarker|HostId)>[^<]*<`), "<$1><"},
	}
)

// shown returns an answer without what differs from one to the next, and what names a side.
func (s *side) shown(r mix.Request, a exchange.Answer) string {
	same := func(text string) string {
		for _, v := range varying {
			text = v.is.ReplaceAllString(text, v.as)
		}
		return strings.NewReplacer(s.Repo, "{repo}", s.Host, "{host}").Replace(text)
	}
	body := same(a.Body)
	if r.IsConfig() && a.Status == http.StatusOK {
		body, a.Length = withoutImports(body), 0
		a.Header.Del("Content-Length")
	}
	if a.Header.Get("Content-Encoding") != "" {
		a.Length = -1 // addresses and times are packed differently
		a.Header.Del("Content-Length")
	}
	var b strings.Builder
	fmt.Fprintln(&b, a.Status, a.Length, a.Continued)
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		for _, value := range a.Header[name] {
			switch {
			case slices.Contains(ignored, name):
				continue
			case name == "Last-Modified":
				value = ""
			case name == "Set-Cookie":
				value = regexp.MustCompile(`=[^;]*|Expires=[^;]*`).ReplaceAllString(value, "=")
			}
			fmt.Fprintln(&b, name+": "+same(value))
		}
	}
	fmt.Fprintln(&b, "trailer", a.Trailer)
	return b.String() + body
}

// withoutImports returns a configuration without what the proxy changes.
func withoutImports(text string) string {
	var config map[string]any
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return text
	}
	if storage, ok := config["storage_config"].(map[string]any); ok {
		delete(storage, "import_support")
		delete(storage, "import_validity_regex")
	}
	sorted, err := json.Marshal(config)
	if err != nil {
		return text
	}
	return string(sorted)
}

// TestAnswersThroughTheProxyAreLakeFSs sends the same requests to a lakeFS server directly and through
// the proxy, each to a repository of its own with the same history. TEST_PROXY_REQUESTS is how
// many.
func TestAnswersThroughTheProxyAreLakeFSs(t *testing.T) {
	requests := 500
	if text, ok := os.LookupEnv("TEST_PROXY_REQUESTS"); ok {
		var err error
		requests, err = strconv.Atoi(text)
		expect.NoError(t, err)
	}
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	namespace := namespaces(t)
	direct := newSide(t, server, server.Endpoint, namespace, "mixed-1a")
	proxied := newSide(t, server, startProxy(t, server, ceph.Endpoint, "s3://none/"), namespace, "mixed-1b")
	m := mix.New(seeded.Rand(t), assets(t, direct))
	statuses := map[string]map[int]int{}
	differ := 0
	for i := range requests {
		kind, r := m.Next()
		want, direction := direct.send(t, r)
		got, _ := proxied.send(t, r)
		if statuses[kind] == nil {
			statuses[kind] = map[int]int{}
		}
		statuses[kind][direction]++
		if got != want {
			t.Errorf("%d: %s: %.600q\n%s", i, kind, r.Write(direct.Names), difference(want, got))
			if differ++; differ == 10 {
				t.FailNow()
			}
		}
	}
	t.Log(statuses)
}

// newSide returns a way to a server, with a new repository.
func newSide(t *testing.T, server *lakefstest.Server, endpoint, namespace, repo string) *side {
	t.Helper()
	client := lakefstest.NewClient(server.Endpoint, lakefstest.Admin)
	r := client.CreateRepository(t, repo, namespace+"/"+repo)
	for _, key := range mix.Keys() {
		r.Put(t, "main", key, "")
	}
	r.CommitAll(t, "main", "base")
	a := client.Call(t, "POST", "/auth/login",
		object{"access_key_id": lakefstest.Admin.AccessKeyID, "secret_access_key": lakefstest.Admin.SecretAccessKey}).Is(t, http.StatusOK, "")
	_, session, _ := strings.Cut(a.Header.Get("Set-Cookie"), "=")
	session, _, _ = strings.Cut(session, ";")
	s := &side{Names: mix.Names{Host: strings.TrimPrefix(endpoint, "http://"), Repo: repo, Session: session}}
	s.conn = exchange.Dial(s.Host)
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// send sends a request, and returns its status and what can be compared of its answer.
func (s *side) send(t *testing.T, r mix.Request) (shown string, status int) {
	t.Helper()
	a, err := s.conn.Do(t.Context(), r.Method(), r.Write(s.Names))
	if err != nil {
		return fmt.Sprint("error: ", strings.ReplaceAll(err.Error(), s.Host, "{host}")), 0
	}
	return s.shown(r, a), a.Status
}

// assets returns the paths of files of the web UI.
func assets(t *testing.T, s *side) []string {
	t.Helper()
	a, err := s.conn.Do(t.Context(), "GET", "GET / HTTP/1.1\r\nHost: "+s.Host+"\r\n\r\n")
	expect.NoError(t, err)
	paths := regexp.MustCompile(`/assets/[^"]+`).FindAllString(a.Body, -1)
	if len(paths) == 0 {
		t.Fatalf("the web UI is %s", a.Body)
	}
	return append(paths, "/logo.svg", "/assets/none.js")
}

// difference shows where two answers begin to differ.
func difference(direct, proxied string) string {
	a, b := strings.Split(direct, "\n"), strings.Split(proxied, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("is answered %s\n%.1000s\nand through the proxy %s\n%.1000s", a[0], a[i], b[0], b[i])
		}
	}
	return fmt.Sprintf("is answered %s\nby %d lines, and through the proxy %s\nby %d", a[0], len(a), b[0], len(b))
}
