package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/certfile"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// endsEvery is how often files that expire are read again, as they may be replaced.
const endsEvery = time.Minute

// end is something that expires, whose end is shown in a metric.
type end struct {
	setting string // that names it
	shown   prometheus.Gauge
	at      func() (time.Time, error) // zero: it never expires
}

// ends returns what this process shows the end of, besides the certificate of the API.
func (b *base) ends() (all []end) {
	f, n := metric.With(b.metrics), b.Settings.NATS
	file := func(setting, path, use string) {
		if path != "" {
			all = append(all, end{setting, f.CertificateEnd(use), func() (time.Time, error) { return certfile.End(path) }})
		}
	}
	if n.URL != "" { // else it is the embedded server's, which shows it
		file("nats.cert_file", n.CertFile, "nats")
	}
	file("nats.ca_file", n.CAFile, "nats_ca")
	if path := n.CredsFile; path != "" {
		all = append(all, end{"nats.creds_file", f.CredentialsEnd("nats"), func() (time.Time, error) { return natsconn.CredsEnd(path) }})
	}
	return all
}

// showEnds keeps the metrics of what expires up to date until ctx ends.
func (b *base) showEnds(ctx context.Context, all []end) {
	for len(all) > 0 && ctx.Err() == nil {
		for _, e := range all {
			at, err := e.at()
			if err != nil { // whoever needs it reports that as an error
				b.Log.DebugContext(ctx, "look when something expires", "setting", e.setting, "err", err)
				continue
			}
			e.shown.Set(metric.Time(at))
		}
		_ = pause.For(ctx, endsEvery) // the loop looks at ctx
	}
}
