package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/certs"
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
	"github.com/rangefleet/rangefleet/pkg/server"
	"github.com/rangefleet/rangefleet/pkg/worker"
)

// The table of docs/operating.md names every metric that a process has, and no
// other.
func TestDocsAreCurrent(t *testing.T) {
	generated.Part(t, "../../docs/operating.md", metricsTable(t))
}

func metricsTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("\n| metric | labels | of | |\n| --- | --- | --- | --- |\n")
	for _, of := range []struct {
		process  string
		register func(prometheus.Registerer)
	}{
		{"coordinator", func(reg prometheus.Registerer) {
			coordinator.New(coordinator.Config{State: coordinator.State{Backend: new(backend.Backend)}, Registerer: reg})
			server.New(server.Config{Registerer: reg, Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)})
			if _, err := openRules("", reg, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := audit.Open("", io.Discard, nil, reg); err != nil {
				t.Fatal(err)
			}
			cert, key := certs.New(t).Issue("server")
			if _, err := certfile.Open(certfile.Config{CertFile: cert, KeyFile: key, Now: time.Now, Registerer: reg, Subsystem: "http"}); err != nil {
				t.Fatal(err)
			}
			if _, err := certfile.Open(certfile.Config{CertFile: cert, KeyFile: key, Now: time.Now, Registerer: reg, Subsystem: "nats"}); err != nil {
				t.Fatal(err)
			}
			if _, err := lakefs.Open(lakefs.Config{URL: "http://lakefs", Registerer: reg}, lakefs.Login{}); err != nil {
				t.Fatal(err)
			}
		}},
		{"worker", func(reg prometheus.Registerer) {
			worker.New(worker.Config{Backend: &backend.Backend{Queue: new(queue.Queue)}, Registerer: reg})
		}},
		{"both", func(reg prometheus.Registerer) {
			server.NewHTTPServer(http.NotFoundHandler(), reg, slog.New(slog.DiscardHandler))
			if _, err := stores.New(stores.Config{}, reg, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			q := queuetest.Connect(t, natsconn.Config{InProcess: queuetest.StartServer(t, natsd.Config{}), Registerer: reg})
			ended, end := context.WithCancel(t.Context())
			end()
			limiter := readahead.NewLimiter(readahead.Limits{})
			if err := pace.Run(ended, pace.Config{Gossip: q.Gossip, Limiter: limiter, Registerer: reg}); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		var seen descriptions
		of.register(&seen)
		slices.Sort(seen)
		if len(seen) == 0 {
			t.Fatalf("no metrics of %s", of.process)
		}
		for _, text := range seen {
			name, help, labels := parse(t, text)
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, labels, of.process, help)
		}
	}
	return b.String() + "\n"
}

var description = regexp.MustCompile(`^Desc\{fqName: "([a-z0-9_]+)", help: ("(?:[^"\\]|\\.)*"), (?:unit: "[a-z]*", )?constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

func parse(t *testing.T, text string) (name, help, labels string) {
	m := description.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("cannot read %s", text)
	}
	help, err := strconv.Unquote(m[2])
	if err != nil {
		t.Fatal(err)
	}
	if m[3] != "" {
		labels = "`" + strings.ReplaceAll(m[3], ",", "`, `") + "`"
	}
	return m[1], help, labels
}

// descriptions are the metrics that were registered.
type descriptions []string

func (d *descriptions) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc, 10)
	c.Describe(all)
	close(all)
	for desc := range all {
		*d = append(*d, desc.String())
	}
	return nil
}

func (d *descriptions) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c) // never an error
	}
}

func (d *descriptions) Unregister(prometheus.Collector) bool { return false }
