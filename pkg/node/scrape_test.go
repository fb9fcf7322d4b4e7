package node

import (
	"compress/gzip"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/scrape"
)

// everything is a registry with the metrics of all kinds of processes.
func everything(t testing.TB) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	for _, p := range processes(t) {
		p.register(prometheus.WrapRegistererWith(prometheus.Labels{labelFleet: "f"}, reg))
	}
	return reg
}

// series returns how many series a family has in the text format.
func series(f *dto.MetricFamily) (n int) {
	for _, m := range f.GetMetric() {
		switch {
		case m.GetHistogram() != nil:
			n += len(m.GetHistogram().GetBucket()) + 3 // +Inf, sum and count
		case m.GetSummary() != nil:
			n += len(m.GetSummary().GetQuantile()) + 2
		default:
			n++
		}
	}
	return n
}

// mostSeries is how many series a process shows at most.
const mostSeries = 500

// lazy are the metrics whose series appear when they are first counted, with how many there can be.
var lazy = map[string]int{
	"rangefleet_http_requests_total":            5 * 5,   // parts of the API, classes of codes
	"rangefleet_objectstore_requests_total":     4*8 - 3, // operations, codes; only listings are bad ones
	"rangefleet_lakefs_proxied_requests_total":  6,       // classes of codes, with error
	"rangefleet_lakefs_requests_total":          24 * 3,  // operations, of the codes that one gets
	"rangefleet_http_failed_logins_total":       2,
	"rangefleet_objectstore_page_resizes_total": 2,
}

// A process that has all metrics, in which each label has had each of its values, shows at most 500
// series.
func TestSeriesAreFew(t *testing.T) {
	families, err := everything(t).Gather()
	expect.NoError(t, err)
	shown, all := 0, 0
	for _, f := range families {
		n := series(f)
		shown += n
		all += max(n, lazy[f.GetName()])
	}
	for name, n := range lazy {
		if !slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name }) {
			all += n
		}
	}
	t.Logf("%d series at the start, at most %d", shown, all)
	if all > mostSeries {
		t.Errorf("there may be %d series, want at most %d", all, mostSeries)
	}
}

// In the text formats an integer could be written in two ways, so no bucket ends at one.
func TestBucketsEndAtNoInteger(t *testing.T) {
	families, err := everything(t).Gather()
	expect.NoError(t, err)
	seen := 0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				if seen++; b.GetUpperBound() == math.Trunc(b.GetUpperBound()) {
					t.Errorf("%s has a bucket that ends at %v", f.GetName(), b.GetUpperBound())
				}
			}
			if h := m.GetHistogram(); h != nil && h.GetZeroThreshold() == 0 && !strings.HasPrefix(f.GetName(), "go_") {
				t.Errorf("%s is no native histogram", f.GetName())
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d buckets were found", seen)
	}
}

// Twenty Prometheus servers that scrape at the same moment all get an answer.
func TestManyScrape(t *testing.T) {
	server := httptest.NewServer(scrape.New(everything(t), slog.New(slog.DiscardHandler), nil))
	defer server.Close()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 5 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
				r.Header.Set("Accept-Encoding", "gzip")
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				text := unzipped(t, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK || !strings.HasSuffix(text, "# EOF\n") {
					t.Errorf("%s, %q", resp.Status, text[max(0, len(text)-100):])
				}
			}
		})
	}
	all.Wait()
}

func unzipped(t *testing.T, r io.Reader) string {
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// BenchmarkScrape shows what share of a core it takes a process with all metrics to answer 20
// Prometheus servers that each scrape once a second: one by one, and with answers that they share.
// An operation is a second of them, in which the clock of the test moves on by a second.
func BenchmarkScrape(b *testing.B) {
	now := time.Unix(1_000_000_000, 0)
	reg, log := everything(b), slog.New(slog.DiscardHandler)
	for _, by := range []struct {
		name    string
		handler http.Handler
	}{
		{"apart", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})},
		{"shared", scrape.New(reg, log, func() time.Time { return now })},
	} {
		for name, header := range map[string]http.Header{
			"text":        {},
			"openmetrics": {"Accept": {"application/openmetrics-text;version=1.0.0"}, "Accept-Encoding": {"gzip"}},
		} {
			b.Run(by.name+"/"+name, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header = header
				b.ReportAllocs()
				for b.Loop() {
					for range 20 {
						by.handler.ServeHTTP(httptest.NewRecorder(), r)
					}
					now = now.Add(time.Second)
				}
				b.ReportMetric(100*b.Elapsed().Seconds()/float64(b.N), "%core")
			})
		}
	}
}
