package node

import (
	"math"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rangefleet/rangefleet/internal/buildinfo"
	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// labelFleet is the label that all metrics of a process have.
const labelFleet = "fleet"

// allocations matches the metrics of the runtime that count allocations: of tiny objects, and of others.
var allocations = regexp.MustCompile(`^/gc/heap/(tiny/)?allocs:objects$`)

// registerProcess registers the metrics that all processes have.
func registerProcess(reg prometheus.Registerer, buffers *rangewriter.Buffers) {
	// Of the metrics of memory, which would be a tenth of all series, two of the runtime suffice, and
	// how many objects were allocated.
	reg.MustRegister(collectors.NewGoCollector(
		collectors.WithGoCollectorMemStatsMetricsDisabled(),
		collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: allocations}),
	), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := metric.With(reg)
	f.Constant("build_info", "1, with the version of this process, the commit that it was built from, and the version of Go.", map[string]string{
		"version": buildinfo.Version(), "revision": buildinfo.Revision(), "goversion": runtime.Version(),
	})
	m := f.In("memory")
	m.GaugeFunc("budget_bytes", "Memory to which this process keeps itself; +Inf if there is no limit.", memoryBudget)
	m.GaugeFunc("used_bytes", "Memory that counts towards it, without what the next garbage collection frees.", memoryUsed)
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

// memoryUsed returns what collections of garbage cannot free: what was live at the last one, and what
// the runtime needs besides the heap. The memory that the runtime has from the system tells nothing:
// it lets garbage grow up to the limit while the process is well.
func memoryUsed() float64 {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	used := float64(samples[0].Value.Uint64()) + float64(samples[1].Value.Uint64())
	for _, heap := range samples[2:] {
		used -= float64(heap.Value.Uint64())
	}
	return used
}
