package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/generated"
	"github.com/rangefleet/rangefleet/pkg/audit"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/certfile"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/pace"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/server"
	"github.com/rangefleet/rangefleet/pkg/settings"
	"github.com/rangefleet/rangefleet/pkg/tracing/otlp"
	"github.com/rangefleet/rangefleet/pkg/worker"
)

// The table of docs/metrics.md names every metric that a process has, and no other.
func TestDocsAreCurrent(t *testing.T) {
	generated.Part(t, "../../docs/metrics.md", metricsTable(t))
}

// processes are the kinds of processes, with functions that register the metrics of each.
func processes(t testing.TB) []process {
	return []process{
		{"coordinator", func(reg prometheus.Registerer) { registerCoordinator(t, reg) }},
		{"worker", func(reg prometheus.Registerer) {
			worker.New(worker.Config{Backend: &backend.Backend{Queue: new(queue.Queue)}, Registerer: reg})
		}},
		{"both", func(reg prometheus.Registerer) { registerBoth(t, reg) }},
	}
}

type process struct {
	name     string
	register func(prometheus.Registerer)
}

// registerCoordinator registers the metrics that only a coordinator has.
func registerCoordinator(t testing.TB, reg prometheus.Registerer) {
	coordinator.New(coordinator.Config{State: coordinator.State{Backend: &backend.Backend{Queue: new(queue.Queue)}}, Registerer: reg})
	server.New(server.Config{Registerer: reg, Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)})
	server.NewProxy(server.ProxyConfig{Registerer: reg, Log: slog.New(slog.DiscardHandler)}, http.NotFoundHandler())
	_, err := openRules("", reg, nil)
	expect.NoError(t, err)
	_, err = audit.Open("", io.Discard, nil, reg)
	expect.NoError(t, err)
	cert, key := certs.New(t).Issue("server")
	_, err = certfile.Open(certfile.Config{CertFile: cert, KeyFile: key, Now: time.Now, Registerer: reg, Use: "api"})
	expect.NoError(t, err)
	_, err = certfile.Open(certfile.Config{CertFile: cert, KeyFile: key, Now: time.Now, Registerer: reg, Use: "nats"})
	expect.NoError(t, err)
	newSAMLEnds(reg)
	_, err = lakefs.Open(lakefs.Config{URL: "http://lakefs", Registerer: reg}, lakefs.Login{})
	expect.NoError(t, err)
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{})})
	backend.NewStorageWatch(q, nil, nil, reg)
}

// registerBoth registers the metrics that coordinators and workers have.
func registerBoth(t testing.TB, reg prometheus.Registerer) {
	registerProcess(reg, new(rangewriter.Buffers))
	b := base{metrics: reg}
	b.Settings.NATS = settings.NATS{CAFile: "ca", CredsFile: "creds"}
	b.ends()
	server.NewHTTPServer(http.NotFoundHandler(), reg, slog.New(slog.DiscardHandler))
	_, err := stores.New(stores.Config{}, reg, slog.New(slog.DiscardHandler))
	expect.NoError(t, err)
	_, err = otlp.New(t.Context(), otlp.Config{Registerer: reg})
	expect.NoError(t, err)
	q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), Registerer: reg})
	ended, end := context.WithCancel(t.Context())
	end()
	limiter := readahead.NewLimiter(readahead.Limits{})
	expect.NoError(t, pace.Run(ended, pace.Config{Gossip: q.Gossip, Limiter: limiter, Registerer: reg}))
}

func metricsTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("\n| metric | type | unit | labels | of | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, p := range processes(t) {
		seen := recorder{Registry: prometheus.NewRegistry(), helps: make(map[string]string)}
		p.register(&seen)
		shown := gathered(t, seen.Registry)
		if len(seen.helps) == 0 {
			t.Fatalf("no metrics of %s", p.name)
		}
		for _, name := range slices.Sorted(maps.Keys(seen.helps)) {
			if !strings.HasPrefix(name, "rangefleet_") {
				continue
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n",
				name, typeOf(name, shown[name]), unitOf(name), labelsOf(seen.labels[name], shown[name]), p.name, seen.helps[name])
		}
	}
	return b.String() + "\n"
}

func gathered(t *testing.T, reg *prometheus.Registry) map[string]*dto.MetricFamily {
	families, err := reg.Gather()
	expect.NoError(t, err)
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// typeOf returns the type of a metric. f is nil if the metric has no series yet.
func typeOf(name string, f *dto.MetricFamily) string {
	switch {
	case f != nil:
		return strings.ToLower(f.GetType().String())
	case strings.HasSuffix(name, "_total"):
		return "counter"
	}
	return "gauge"
}

func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

// labelsOf returns the labels of a metric, each with the values that are known beforehand.
func labelsOf(names []string, f *dto.MetricFamily) string {
	var all []string
	for _, name := range names {
		values := make(map[string]bool)
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == name {
					values[l.GetValue()] = true
				}
			}
		}
		text := "`" + name + "`"
		if known := slices.Sorted(maps.Keys(values)); len(known) > 0 && f.GetName() != "rangefleet_build_info" {
			text += ": " + strings.Join(known, ", ")
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// recorder is a registry that keeps the help and the names of labels of what was registered.
type recorder struct {
	*prometheus.Registry
	helps  map[string]string
	labels map[string][]string
}

func (r *recorder) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		c.Describe(all)
	}()
	for desc := range all {
		r.record(desc.String())
	}
	return r.Registry.Register(c)
}

func (r *recorder) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

var (
	description = regexp.MustCompile(`^Desc\{fqName: "([a-zA-Z0-9_]+)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[a-z]*", )?constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)
	constLabel  = regexp.MustCompile(`([a-z_]+)="`)
)

func (r *recorder) record(text string) {
	m := description.FindStringSubmatch(text)
	if m == nil {
		panic("cannot read " + text)
	}
	help, err := strconv.Unquote(m[2])
	if err != nil {
		panic(err)
	}
	if r.labels == nil {
		r.labels = make(map[string][]string)
	}
	var labels []string
	for _, l := range constLabel.FindAllStringSubmatch(m[3], -1) {
		labels = append(labels, l[1])
	}
	if m[4] != "" {
		labels = append(labels, strings.Split(m[4], ",")...)
	}
	r.helps[m[1]], r.labels[m[1]] = help, labels
}
