package node

import (
	"context"
	"crypto/x509"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// shownEnds returns what the metrics of a process show the end of, in seconds since 1970, by use.
func shownEnds(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	shown := make(map[string]float64)
	for name, kind := range map[string]string{
		"rangefleet_certificate_not_after_timestamp_seconds": "certificate ",
		"rangefleet_credentials_not_after_timestamp_seconds": "credentials ",
	} {
		for _, m := range gathered(t, reg)[name].GetMetric() {
			shown[kind+m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
		}
	}
	return shown
}

// The ends of the files are shown, and again after they were replaced. A file that cannot be read
// leaves the last end.
func TestEndsOfFilesAreShown(t *testing.T) {
	ca := certs.New(t)
	issue := func(name string, until int64) string {
		cert, _ := ca.IssueWith(name, func(c *x509.Certificate) { c.NotAfter = time.Unix(until, 0) })
		return cert
	}
	n := settings.NATS{URL: "nats://nats", CertFile: issue("cert", 2e9), CAFile: issue("authority", 3e9), CredsFile: filepath.Join(t.TempDir(), "creds")}
	queuetest.WriteCreds(t, n.CredsFile, 4e9)
	embedded := n
	embedded.URL = ""
	for name, c := range map[string]struct {
		nats settings.NATS
		want map[string]float64
	}{
		"none":            {settings.NATS{}, map[string]float64{}},
		"client of NATS":  {n, map[string]float64{"certificate nats": 2e9, "certificate nats_ca": 3e9, "credentials nats": 4e9}},
		"embedded server": {embedded, map[string]float64{"certificate nats_ca": 3e9, "credentials nats": 4e9}},
	} {
		reg := prometheus.NewRegistry()
		base := &base{metrics: reg}
		base.Settings.NATS, base.Log = c.nats, slog.New(slog.DiscardHandler)
		ended, end := context.WithCancel(t.Context())
		synctest.Test(t, func(t *testing.T) {
			go base.showEnds(ended, base.ends())
			synctest.Wait()
			end()
		})
		if got := shownEnds(t, reg); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v is shown, want %v", name, got, c.want)
		}
	}
	testReplacedFiles(t, n, issue)
}

func testReplacedFiles(t *testing.T, n settings.NATS, issue func(name string, until int64) string) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		base := &base{metrics: reg}
		base.Settings.NATS, base.Log = n, slog.New(slog.DiscardHandler)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go base.showEnds(ctx, base.ends())
		synctest.Wait()
		issue("cert", 5e9)
		queuetest.WriteCreds(t, n.CredsFile, 0)
		expect.NoError(t, os.WriteFile(n.CAFile, []byte("no PEM"), 0o600))
		<-time.After(endsEvery)
		synctest.Wait()
		want := map[string]float64{"certificate nats": 5e9, "certificate nats_ca": 3e9, "credentials nats": 0}
		if got := shownEnds(t, reg); !maps.Equal(got, want) {
			t.Errorf("after the files were replaced %v is shown, want %v", got, want)
		}
	})
}
