package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// proxyPrefix starts the paths that a proxy keeps to itself: health, readiness and metrics.
const proxyPrefix = "/_rangefleet"

// loopHeader carries the IDs of the proxies that a request came through.
const loopHeader = "X-Rangefleet-Proxy"

// ProxyConfig is what a proxy is made of. All fields are required.
type ProxyConfig struct {
	Target       *url.URL          // of the lakeFS server
	Transport    http.RoundTripper // must not compress, and must heed Expect: 100-continue
	ID           string            // of this proxy, unique
	HandBack     bool              // new imports go to the lakeFS server, too
	OtherSources bool              // new imports from sources that ours does not list go to the lakeFS server
	Memory       *Budget           // of requests, those of ours, too
	Log          *slog.Logger
	Registerer   prometheus.Registerer
}

// proxy serves imports, and hands all other requests to a lakeFS server as they are.
type proxy struct {
	ours         http.Handler // of the import operations, and of health and metrics
	theirs       httputil.ReverseProxy
	id           string
	handBack     bool
	otherSources bool
	bodies       *importBodies // of requests to import
	slots        slots         // of requests to the server
	memory       *Budget
	passed       *prometheus.CounterVec
}

// NewProxy returns a handler that serves imports by ours, which New returned, and hands all
// other requests to a lakeFS server. What ours serves at /_health, /_ready and /metrics is
// at the same paths after proxyPrefix.
func NewProxy(c ProxyConfig, ours http.Handler) http.Handler {
	p := &proxy{
		ours: ours, id: c.ID, handBack: c.HandBack, otherSources: c.OtherSources,
		bodies: newImportBodies(c.Memory), slots: make(slots, limits.Proxied), memory: c.Memory,
		passed: metric.With(c.Registerer).CounterVec("lakefs_proxied_requests_total",
			"Requests that were handed to the lakeFS server, by the class of the answer's status (error: none).", metric.By("code")),
	}
	p.theirs = httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { p.rewrite(r, c.Target) },
		Transport:      c.Transport,
		FlushInterval:  -1, // what the server sends is seen at once
		BufferPool:     &buffers{},
		ModifyResponse: p.answered,
		ErrorHandler:   p.unanswered,
		ErrorLog:       slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch own, rest := p.owns(r); {
	case slices.Contains(r.Header.Values(loopHeader), p.id):
		refuse(w, http.StatusLoopDetected, errLoop.Error())
	case own && r.Method == http.MethodPost && (p.handBack || p.otherSources) && importRoute.MatchString(plainPath(r.URL)):
		p.serveImport(w, r)
	case own:
		p.ours.ServeHTTP(w, rest)
	default:
		p.pass(w, r)
	}
}

// owns reports whether a request is served here, and returns the request to serve.
func (p *proxy) owns(r *http.Request) (bool, *http.Request) {
	if path, ok := strings.CutPrefix(r.URL.Path, proxyPrefix); ok && (path == "" || path[0] == '/') {
		return true, at(r, ownPaths[path])
	}
	if signedForS3(r) {
		return false, nil
	}
	path := plainPath(r.URL)
	if verifyRoute.MatchString(path) || path == api.BaseURL+"/imports" || path == trialsPath {
		return true, r
	}
	if !importRoute.MatchString(path) {
		return false, nil
	}
	switch r.Method {
	case http.MethodPost:
		return true, r
	case http.MethodGet, http.MethodDelete:
		id := r.URL.Query().Get("id")
		return id == "" && !p.handBack || strings.HasPrefix(id, coordinator.IDPrefix), r
	}
	return false, nil
}

// signedForS3 reports whether a lakeFS server takes a request for one to its S3 gateway: whatever
// the path is, it names a bucket and a key.
func signedForS3(r *http.Request) bool {
	authorization, query := r.Header.Get("Authorization"), r.URL.Query()
	return strings.HasPrefix(authorization, "AWS4") || strings.HasPrefix(authorization, "AWS ") || r.Header.Get("X-Amz-Signature") != "" ||
		query.Get("X-Amz-Credential") != "" || query.Get("AWSAccessKeyId") != ""
}

// ownPaths are the paths after proxyPrefix, and what they are without a proxy.
var ownPaths = map[string]string{"/health": "/_health", "/ready": "/_ready", "/metrics": "/metrics"}

// at returns a request of another path.
func at(r *http.Request, path string) *http.Request {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath = path, ""
	return r
}

// perProxied is the memory in bytes that a request needs which is handed to the server: a buffer
// for its body and one for the answer, and those of the connection to the server.
const perProxied = 2*copyBuffer + 16<<10

// pass hands a request to the server. Its body and answer may take as long as they need.
func (p *proxy) pass(w http.ResponseWriter, r *http.Request) {
	if !p.slots.tryAcquire() {
		tooMany(w, busyRetryAfter, "too many requests at a time, try again")
		return
	}
	defer p.slots.release()
	release, err := p.memory.take(r.Context(), perProxied)
	switch {
	case errors.Is(err, errBusy):
		tooMany(w, busyRetryAfter, err.Error())
		return
	case err != nil:
		panic(http.ErrAbortHandler) // the client has gone
	}
	defer release()
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // a writer of tests has no deadlines
	_ = c.SetWriteDeadline(time.Time{})
	p.theirs.ServeHTTP(continued{w}, r)
}

// continued does not pass on that the server wants the body of a request: its client is told so
// when the body is read, and would be told twice.
type continued struct{ http.ResponseWriter }

func (w continued) WriteHeader(code int) {
	if code != http.StatusContinue {
		w.ResponseWriter.WriteHeader(code)
	}
}

// Unwrap returns the writer that can flush and be hijacked, for http.ResponseController.
func (w continued) Unwrap() http.ResponseWriter { return w.ResponseWriter }

const configPath = api.BaseURL + "/config"

// rewrite makes the request to the server: the client's, with its Host, path and query as
// they were sent. Only bytes that a path must not have are escaped.
func (p *proxy) rewrite(r *httputil.ProxyRequest, target *url.URL) {
	r.Out.URL.RawPath = escapeInvalid(r.In.URL.RawPath)
	r.SetURL(target)
	r.Out.Host = r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	r.SetXForwarded()
	for _, name := range []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto"} { // of a proxy before this one
		if v := r.In.Header[name]; v != nil {
			r.Out.Header[name] = v
		}
	}
	r.Out.Header.Add(loopHeader, p.id)
	if r.In.URL.Path == configPath {
		r.Out.Header.Del("Accept-Encoding") // the answer is read
	}
}

// escapeInvalid escapes what a URL must not have in its path. Otherwise the URL would ignore
// how the path was sent, and a%2Fb would become a/b.
func escapeInvalid(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>?\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *proxy) answered(resp *http.Response) error {
	p.passed.WithLabelValues(codeClass(resp.StatusCode)).Inc()
	if r := resp.Request; r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, configPath) && resp.StatusCode == http.StatusOK {
		return showImports(resp, p.otherSources)
	}
	return nil
}

// unanswered answers a request that the server did not: 503, as clients of lakeFS give up at
// a 502.
func (p *proxy) unanswered(w http.ResponseWriter, r *http.Request, _ error) {
	p.passed.WithLabelValues("error").Inc()
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	w.Header().Set("Retry-After", retryAfter)
	refuse(w, http.StatusServiceUnavailable, "the lakeFS server does not answer, try again")
}

// maxConfig bounds the bytes of the server's configuration.
const maxConfig = 1 << 20

// importRegex matches the sources that can be imported.
const importRegex = "^s3://"

// showImports makes the answer to a request for the server's configuration say what this
// service imports, and with others what the server does.
func showImports(resp *http.Response, others bool) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxConfig+1))
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	var config map[string]json.RawMessage
	var storage map[string]any
	if json.Unmarshal(text, &config) == nil && json.Unmarshal(config["storage_config"], &storage) == nil && storage != nil {
		regex := importRegex
		if theirs, _ := storage["import_validity_regex"].(string); others && storage["import_support"] == true && theirs != "" && theirs != regex {
			regex += "|" + theirs
		}
		storage["import_support"], storage["import_validity_regex"] = true, regex
		if config["storage_config"], err = json.Marshal(storage); err != nil {
			return err
		}
		if text, err = json.Marshal(config); err != nil {
			return err
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	resp.ContentLength = int64(len(text))
	resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}

// copyBuffer is the size in bytes of the buffer of a request that is passed on.
const copyBuffer = 32 << 10

// buffers are the buffers of requests that are passed on.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return v[:]
	}
	return make([]byte, copyBuffer)
}

// Put takes a buffer back.
func (b *buffers) Put(v []byte) { b.pool.Put((*[copyBuffer]byte)(v)) }

var errLoop = errors.New("lakefs.url leads back to this coordinator: want the URL of the lakeFS server itself")

// CheckLoop returns an error if the target of a proxy leads back to it. An error of the
// request says nothing: the server may not be up yet.
func CheckLoop(ctx context.Context, c ProxyConfig) error {
	ctx, cancel := context.WithTimeout(ctx, loopWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Target.JoinPath(configPath).String(), nil)
	if err != nil {
		return fmt.Errorf("lakefs.url: %w", err)
	}
	req.Header.Set(loopHeader, c.ID)
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusLoopDetected {
		return errLoop
	}
	return nil
}

const loopWithin = 10 * time.Second
