// Package scrape answers Prometheus. However many servers scrape a process, its metrics are
// collected, and encoded in each format, at most once a second.
package scrape

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

const (
	// fresh is how old the values of an answer are at most. Who scrapes once a second may get the
	// same values twice.
	fresh = time.Second
	// kept is how many answers are kept at a time. Each has a format and an encoding of its own, and
	// at most some 100 KiB. Prometheus servers of one version and configuration share one.
	kept = 8
)

// Handler answers scrapes in the format that the request asks for: also in that of OpenMetrics, which
// has exemplars. Its methods may be called concurrently.
type Handler struct {
	gather prometheus.Gatherer
	encode http.Handler // what was collected last
	now    func() time.Time
	slots  chan struct{} // holds a value for each answer that is made or sent: a slow reader keeps its own

	mu       sync.Mutex // held while metrics are collected and encoded, and never while an answer is sent
	at       time.Time  // when they were collected; zero: not yet
	families []*dto.MetricFamily
	err      error
	answers  map[format]*answer // of families
}

// format is how an answer is written.
type format struct {
	media expfmt.Format
	gzip  bool
}

// New returns a handler for the metrics of a gatherer. If some of them cannot be collected, it logs
// that and answers the others. Nil for now is time.Now.
func New(gather prometheus.Gatherer, log *slog.Logger, now func() time.Time) *Handler {
	h := &Handler{gather: gather, now: now, slots: make(chan struct{}, limits.Scrapes)}
	if now == nil {
		h.now = time.Now
	}
	collected := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return h.families, h.err })
	h.encode = promhttp.HandlerFor(collected, promhttp.HandlerOpts{
		EnableOpenMetrics: true, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
	})
	return h
}

// ServeHTTP answers a scrape, or 503 if too many are being answered.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		http.Error(w, "too many scrapes at a time", http.StatusServiceUnavailable)
		return
	}
	a := h.answer(r)
	for name, values := range a.header {
		w.Header()[name] = slices.Clone(values)
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body.Bytes()) // the scraper is gone
}

// answer returns the answer to a request, which many may share. Scrapers that come while metrics are
// collected wait for them.
func (h *Handler) answer(r *http.Request) *answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.now(); h.at.IsZero() || now.Sub(h.at) >= fresh {
		h.families, h.err = h.gather.Gather()
		h.at, h.answers = now, make(map[format]*answer, kept)
	}
	f := format{expfmt.NegotiateIncludingOpenMetrics(r.Header), takesGzip(r.Header)}
	if a := h.answers[f]; a != nil && r.URL.RawQuery == "" {
		return a
	}
	a := &answer{header: make(http.Header), code: http.StatusOK}
	h.encode.ServeHTTP(a, f.request(r))
	if r.URL.RawQuery == "" && len(h.answers) < kept { // a query chooses some of the metrics
		h.answers[f] = a
	}
	return a
}

// request returns the request with headers that ask for the format, and for no other.
func (f format) request(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.Header = http.Header{"Accept": r.Header["Accept"], "Accept-Encoding": {"identity"}}
	if f.gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return r
}

// takesGzip reports whether a request says that its answer may be compressed.
func takesGzip(h http.Header) bool {
	for _, value := range h.Values("Accept-Encoding") {
		for _, one := range strings.Split(value, ",") {
			coding, quality, _ := strings.Cut(one, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			_, q, weighted := strings.Cut(quality, "=")
			weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			return !weighted || err == nil && weight > 0
		}
	}
	return false
}

// answer is an answer that is written once and sent many times.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
