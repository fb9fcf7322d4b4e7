package node

import (
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// labelFleet is the label that all metrics of a process have.
const labelFleet = "fleet"

// scrapes is how many scrapes are answered at a time. Each takes some milliseconds, and about
// 200 KiB; one more is answered 503.
const scrapes = 32

// metricsHandler answers scrapes: in the OpenMetrics format, which has exemplars, to those that ask
// for it.
func metricsHandler(reg *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapes, EnableOpenMetrics: true,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
	})
}

// registerProcess registers the metrics that all processes have.
func registerProcess(reg prometheus.Registerer, buffers *rangewriter.Buffers) {
	// Of the metrics of memory, which would be a tenth of all series, two of the runtime suffice.
	reg.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := metric.With(reg)
	f.Constant("build_info", "1, with the version of this process, the commit that it was built from, and the version of Go.", map[string]string{
		"version": buildinfo.Version(), "revision": buildinfo.Revision(), "goversion": runtime.Version(),
	})
	m := f.In("memory")
	m.GaugeFunc("budget_bytes", "Memory to which this process keeps itself; +Inf if there is no limit.", memoryBudget)
	m.GaugeFunc("used_bytes", "Memory that counts towards it: all that the runtime of Go has from the system.", memoryUsed)
	w := f.In("range_files")
	w.GaugeFunc("limit_bytes", "Memory that range files, requests and comparisons share. While it is in use, fewer files begin.", func() float64 { return float64(buffers.Size()) })
	w.GaugeFunc("used_bytes", "Memory that range files, requests and comparisons use or have reserved.", func() float64 { return float64(buffers.Used()) })
}

func memoryBudget() float64 {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		return math.Inf(1)
	}
	return float64(limit)
}

// memoryUsed returns what the runtime compares with its limit.
func memoryUsed() float64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return float64(all[0].Value.Uint64() - all[1].Value.Uint64())
}
