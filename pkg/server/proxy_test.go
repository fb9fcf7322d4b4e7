package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/server"
)

// proxied is a proxy between a test and a server that a handler is.
type proxied struct {
	config server.ProxyConfig
	ours   http.HandlerFunc
	direct string // URL of the server
	url    string // of the proxy
}

func newProxied(t *testing.T, theirs http.HandlerFunc, change func(*server.ProxyConfig)) *proxied {
	t.Helper()
	target := httptest.NewServer(theirs)
	t.Cleanup(target.Close)
	u, err := url.Parse(target.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxied{direct: target.URL, config: server.ProxyConfig{
		Target: u, Transport: &http.Transport{DisableCompression: true, ExpectContinueTimeout: time.Minute}, ID: "this", Memory: server.NewBudget(func(int) {}), Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	}}
	if change != nil {
		change(&p.config)
	}
	p.ours = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ours "+r.Method+" "+r.URL.Path) }
	ours := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.ours(w, r) })
	s := server.NewHTTPServer(server.NewProxy(p.config, ours), prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }() // until Close
	t.Cleanup(func() { _ = s.Close() })
	p.url = "http://" + l.Addr().String()
	return p
}

func get(t *testing.T, method, target string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func theirs(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "theirs "+r.Method+" "+r.URL.Path) }

const (
	importURL = "/api/v1/repositories/repo/branches/main/import"
	ourID     = "rf-cq3k2v0t5cs0a1b2c3d0"
	theirID   = "cq3k2v0t5cs0a1b2c3d0"
)

// Only operations on imports are served here: of those by ID, the imports that this service
// started. Their IDs are never handed on, and all others always are.
func TestProxyRoutes(t *testing.T) {
	for _, handBack := range []bool{false, true} {
		p := newProxied(t, theirs, func(c *server.ProxyConfig) { c.HandBack = handBack })
		newImports := "ours"
		if handBack {
			newImports = "theirs"
		}
		for request, want := range map[string]string{
			"POST " + importURL:                                       newImports,
			"GET " + importURL + "?id=" + ourID:                       "ours",
			"DELETE " + importURL + "?id=" + ourID:                    "ours",
			"GET " + importURL + "?id=" + theirID:                     "theirs",
			"DELETE " + importURL + "?id=" + theirID:                  "theirs",
			"GET " + importURL:                                        newImports,
			"PUT " + importURL:                                        "theirs",
			"GET /api/v1/imports":                                     "ours",
			"POST /api/v1/sources/trials":                             "ours",
			"POST /api/v1/sources/trials/x":                           "theirs",
			"GET /api/v1/repositories/repo/metaranges/m/verification": "ours",
			"POST /api/v1/repositories/repo/metaranges/m/comparison":  "ours",
			"GET " + importURL + "/":                                  "theirs",
			"GET /api/v1/repositories/repo/branches/main":             "theirs",
			"GET /metrics":                                            "theirs",
			"GET /_health":                                            "theirs",
			"GET /_rangefleetish":                                     "theirs",
			"GET /":                                                   "theirs",
			"GET /_rangefleet/metrics":                                "ours",
			"GET /_rangefleet/health":                                 "ours",
			"GET /_rangefleet/unknown":                                "ours",
			"POST /api/v1/repositories/a%2Fb/branches/m/import":       newImports,
			"POST /api/v1/repositories/repo/branches/main/%69mport":   newImports,
			"POST /api/%761/repositories/repo/branches/main/import":   newImports,
			"POST /api/v1/repositories/repo/branches/main%2Fimport":   "theirs",
		} {
			method, path, _ := strings.Cut(request, " ")
			if _, body := get(t, method, p.url+path); !strings.HasPrefix(body, want+" ") {
				t.Errorf("hand back %v: %s is answered %q, want %s", handBack, request, body, want)
			}
		}
	}
}

// A request arrives at the server as it was sent, however it is written.
func TestProxyChangesNothing(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Connection", "Content-Length", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Rangefleet-Proxy"} {
			r.Header.Del(name)
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.RequestURI+" "+r.Host)
		w.Header()["X-Twice"] = []string{"a", "b"}
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
		w.WriteHeader(200 + len(body)%7*50)
		_ = json.NewEncoder(w).Encode(map[string]any{"header": r.Header, "body": body})
	}
	p := newProxied(t, echo, nil)
	rng := seeded.Rand(t)
	for range 300 {
		request := randomRequest(rng)
		direct, passed := raw(t, p.direct, request), raw(t, p.url, request)
		if direct != passed {
			t.Fatalf("%q is answered\n%s\nand through the proxy\n%s", request, direct, passed)
		}
	}
}

// A slash that was sent escaped stays so, beside bytes that should have been escaped.
func TestProxyKeepsEscapedSlashes(t *testing.T) {
	p := newProxied(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Seen", r.RequestURI) }, nil)
	for sent, want := range map[string]string{
		"/a%2Fb^c":        "/a%2Fb%5Ec",
		"/a%2fb/é":        "/a%2fb/%C3%A9",
		"/%2F{|}<>\"`\\#": "/%2F%7B%7C%7D%3C%3E%22%60%5C%23",
		"//a%2F%5E?^{}":   "//a%2F%5E?^{}",
		"/[a]:@!$&'()*+":  "/[a]:@!$&'()*+",
	} {
		answer := raw(t, p.url, "GET "+sent+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if !strings.Contains(answer, "\nX-Seen: "+want+"\r") {
			t.Errorf("%s arrives as\n%s, want %s", sent, answer, want)
		}
	}
}

func randomRequest(rng *rand.Rand) string {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	path := ""
	for range rng.IntN(4) {
		path += pick("/a", "/%2F", "//", "/a%20b", "/%C3%A9", "/~x", "/a;b=c", "/.", "/..", "/%2e%2e", "/a+b", "/'()*", "/%25")
	}
	query := pick("", "?", "?a=b", "?a=%2F&a=+", "?a;b", "?%zz", "?path=x%00y", "?é")
	body := strings.Repeat("x", rng.IntN(100))
	header := pick("Range: bytes=1-2\r\n", "Cookie: a=b; internal_auth_session=c\r\n", "Authorization: Basic eDp5\r\n", "If-None-Match: \"e\"\r\n", "Accept-Encoding: gzip\r\n", "User-Agent: u\r\n")
	return fmt.Sprintf("%s /%s%s HTTP/1.1\r\nHost: lake.example:80\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s",
		pick("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), strings.TrimPrefix(path, "/"), query, len(body), header, body)
}

// raw sends a request as it is written, and returns the answer without its date.
func raw(t *testing.T, target, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(target, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing is written to it any more
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	resp.Header.Del("Date")
	if err := resp.Header.Write(&b); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintln(resp.StatusCode, b.String(), string(body), err)
}

// What the server sends is seen before its answer ends.
func TestProxyStreams(t *testing.T) {
	more := make(chan struct{})
	p := newProxied(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-more
		fmt.Fprintln(w, "last")
	}, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Errorf("the first line is %q", lines.Text())
	}
	close(more)
	if !lines.Scan() || lines.Text() != "last" {
		t.Errorf("the last line is %q", lines.Text())
	}
}

func TestProxyShowsWhatIsImported(t *testing.T) {
	const config = `{"storage_config":{"blockstore_type":"s3","import_support":false,"import_validity_regex":"^gs://"},"version_config":{"version":"1.83.0"}}`
	answer := config
	p := newProxied(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") == "gzip" {
			t.Error("a compressed answer is asked for")
		}
		fmt.Fprint(w, answer)
	}, nil)
	_, body := get(t, http.MethodGet, p.url+"/api/v1/config")
	want := `{"storage_config":{"blockstore_type":"s3","import_support":true,"import_validity_regex":"^s3://"},"version_config":{"version":"1.83.0"}}`
	if body != want {
		t.Errorf("the configuration is\n%s, want\n%s", body, want)
	}
	for _, answer = range []string{"no JSON", "{}", `{"storage_config":7}`} {
		if _, body := get(t, http.MethodGet, p.url+"/api/v1/config"); body != answer {
			t.Errorf("the configuration %s becomes %s", answer, body)
		}
	}
}

func TestProxyShowsWhatTheServerImportsFromOtherSources(t *testing.T) {
	for config, want := range map[string]string{
		`"import_support":true,"import_validity_regex":"^gs://"`:  "^s3://|^gs://",
		`"import_support":true,"import_validity_regex":"^s3://"`:  "^s3://",
		`"import_support":false,"import_validity_regex":"^gs://"`: "^s3://",
		`"import_support":true`:                                   "^s3://",
	} {
		p := newProxied(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"storage_config":{`+config+`}}`) }, func(c *server.ProxyConfig) { c.OtherSources = true })
		if _, body := get(t, http.MethodGet, p.url+"/api/v1/config"); body != `{"storage_config":{"import_support":true,"import_validity_regex":"`+want+`"}}` {
			t.Errorf("%s becomes %s", config, body)
		}
	}
}

func TestProxyOfAServerThatIsAway(t *testing.T) {
	p := newProxied(t, theirs, func(c *server.ProxyConfig) { c.Target = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} })
	if status, body := get(t, http.MethodGet, p.url+"/api/v1/user"); status != http.StatusServiceUnavailable || !strings.Contains(body, "does not answer") {
		t.Errorf("it answers %d %s", status, body)
	}
	if err := server.CheckLoop(t.Context(), p.config); err != nil {
		t.Errorf("CheckLoop: %v", err)
	}
}

func TestProxyThatLeadsBackIsFound(t *testing.T) {
	p := newProxied(t, theirs, nil)
	if err := server.CheckLoop(t.Context(), p.config); err != nil {
		t.Errorf("a server: %v", err)
	}
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	p.config.Target.Host = u.Host // the config of the proxy, too
	if err := server.CheckLoop(t.Context(), p.config); err == nil || !strings.Contains(err.Error(), "lakefs.url") {
		t.Errorf("itself: %v", err)
	}
	if status, body := get(t, http.MethodGet, p.url+"/api/v1/user"); status != http.StatusLoopDetected {
		t.Errorf("a request is answered %d %s", status, body)
	}
}
