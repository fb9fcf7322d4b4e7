package scrape_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/scrape"
	"github.com/rangefleet/rangefleet/internal/transcript"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

const (
	text        = ""
	openMetrics = "application/openmetrics-text;version=1.0.0"
	protobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

// process has a metric that tells how often its metrics were collected.
type process struct {
	*scrape.Handler
	collected int
	fails     error
	now       time.Time
	log       transcript.Buffer
}

func newProcess() *process {
	p := &process{now: time.Unix(1_000_000_000, 0)}
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "collected", Help: "How often."}, func() float64 {
		p.collected++
		return float64(p.collected)
	}), prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "Another."}))
	gather := func() ([]*dto.MetricFamily, error) {
		families, err := reg.Gather()
		return families, errors.Join(err, p.fails)
	}
	p.Handler = scrape.New(prometheus.GathererFunc(gather), slog.New(slog.NewTextHandler(&p.log, nil)), func() time.Time { return p.now })
	return p
}

func (p *process) scrape(target, accept, encoding string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", encoding)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// Twenty servers that scrape at the same moment share what was collected once, in whatever format.
func TestAllShareOneCollection(t *testing.T) {
	p := newProcess()
	for second := range 3 {
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				w := p.scrape("/metrics", []string{text, openMetrics, protobuf}[n%3], []string{"", "gzip"}[n%2])
				if w.Code != http.StatusOK || w.Body.Len() == 0 {
					t.Errorf("%d with %d bytes", w.Code, w.Body.Len())
				}
			})
		}
		all.Wait()
		if p.collected != second+1 {
			t.Errorf("the metrics were collected %d times in %d seconds", p.collected, second+1)
		}
		p.now = p.now.Add(time.Second)
	}
}

// The values of an answer are less than a second old.
func TestAge(t *testing.T) {
	p := newProcess()
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Hour, 3}, {0, 3}} {
		p.now = p.now.Add(step.after)
		if got := p.scrape("/metrics", text, "").Body.String(); !strings.Contains(got, fmt.Sprintf("\ncollected %d\n", step.want)) {
			t.Errorf("after another %v the answer is\n%s", step.after, got)
		}
	}
}

// An answer that another request made is of the format that was asked for.
func TestFormats(t *testing.T) {
	p := newProcess()
	for range 2 {
		for _, tc := range []struct{ accept, encoding, media, coding string }{
			{text, "", "text/plain;", ""},
			{text, "gzip", "text/plain;", "gzip"},
			{text, "deflate, GZIP;q=0.5", "text/plain;", "gzip"},
			{text, "gzip;q=0, deflate", "text/plain;", ""},
			{text, "gzip; q=0.0", "text/plain;", ""},
			{text, "gzip;q=many", "text/plain;", ""},
			{text, "gzipped", "text/plain;", ""},
			{openMetrics, "gzip", "application/openmetrics-text;", "gzip"},
			{openMetrics, "", "application/openmetrics-text;", ""},
			{protobuf, "gzip", "application/vnd.google.protobuf;", "gzip"},
			{"text/html", "br", "text/plain;", ""},
		} {
			w := p.scrape("/metrics", tc.accept, tc.encoding)
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, tc.media) || w.Header().Get("Content-Encoding") != tc.coding {
				t.Errorf("Accept %q, Accept-Encoding %q: %q, %q", tc.accept, tc.encoding, got, w.Header().Get("Content-Encoding"))
			}
			if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
				t.Errorf("Content-Length %s of %d bytes", got, w.Body.Len())
			}
			var body io.Reader = w.Body
			if tc.coding == "gzip" {
				z, err := gzip.NewReader(body)
				expect.NoError(t, err)
				body = z
			}
			content, err := io.ReadAll(body)
			expect.NoError(t, err)
			if !strings.Contains(string(content), "collected") || strings.HasSuffix(string(content), "# EOF\n") != (tc.accept == openMetrics) {
				t.Errorf("Accept %q, Accept-Encoding %q:\n%s", tc.accept, tc.encoding, content)
			}
		}
	}
}

// A request may choose metrics, and does not choose them for others.
func TestChosenMetrics(t *testing.T) {
	p := newProcess()
	for range 2 {
		if got := p.scrape("/metrics?name[]=other", text, "").Body.String(); !strings.Contains(got, "other 0") || strings.Contains(got, "collected") {
			t.Errorf("the chosen metric is\n%s", got)
		}
		if got := p.scrape("/metrics", text, "").Body.String(); !strings.Contains(got, "\ncollected 1\n") {
			t.Errorf("all metrics are\n%s", got)
		}
	}
}

// There may be more formats than are kept.
func TestManyFormats(t *testing.T) {
	p := newProcess()
	for range 2 {
		for _, escaping := range []string{"allow-utf-8", "underscores", "dots", "values"} {
			for _, media := range []string{"text/plain;version=0.0.4", openMetrics, protobuf} {
				for _, encoding := range []string{"", "gzip"} {
					w := p.scrape("/metrics", media+";escaping="+escaping, encoding)
					if got := w.Header().Get("Content-Type"); !strings.Contains(got, "escaping="+escaping) || w.Body.Len() == 0 {
						t.Errorf("%s, %s, %q: %s", media, escaping, encoding, got)
					}
				}
			}
		}
	}
	if p.collected != 1 {
		t.Errorf("the metrics were collected %d times", p.collected)
	}
}

// What could not be collected is logged once a second for a format, and hides nothing else.
func TestErrors(t *testing.T) {
	p := newProcess()
	p.fails = errors.New("a collector failed")
	for range 20 {
		if w := p.scrape("/metrics", text, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "other 0") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if n := strings.Count(p.log.String(), "a collector failed"); n != 1 {
		t.Errorf("the error is logged %d times:\n%s", n, p.log.String())
	}
	p.now, p.fails = p.now.Add(time.Second), nil
	p.scrape("/metrics", text, "")
	if n := strings.Count(p.log.String(), "a collector failed"); n != 1 {
		t.Errorf("an error that is over is logged:\n%s", p.log.String())
	}

	gone := scrape.New(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("all failed") }), slog.New(slog.DiscardHandler), nil)
	w := httptest.NewRecorder()
	gone.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "all failed") {
		t.Errorf("without any metric: %d %s", w.Code, w.Body)
	}
}

// blocked is an answer whose reader takes nothing.
type blocked struct {
	*httptest.ResponseRecorder
	begun chan<- struct{}
	goOn  <-chan struct{}
}

func (b blocked) Write(p []byte) (int, error) {
	b.begun <- struct{}{}
	<-b.goOn
	return b.ResponseRecorder.Write(p)
}

// Readers that take nothing keep a bounded number of answers, and refuse nobody for ever.
func TestSlowReadersAreFew(t *testing.T) {
	p := newProcess()
	begun, goOn := make(chan struct{}), make(chan struct{})
	var slow sync.WaitGroup
	for range limits.Scrapes {
		slow.Go(func() {
			p.ServeHTTP(blocked{httptest.NewRecorder(), begun, goOn}, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		})
		<-begun
	}
	if w := p.scrape("/metrics", text, ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more is answered %d", w.Code)
	}
	close(goOn)
	slow.Wait()
	if w := p.scrape("/metrics", text, ""); w.Code != http.StatusOK {
		t.Errorf("afterwards a scrape is answered %d", w.Code)
	}
}
