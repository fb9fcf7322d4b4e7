// Package certfile keeps a server's TLS certificate in step with the two files that it comes
// from: they may be replaced while the process runs.
package certfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
)

// pollEvery is how often the files are read. Signals make it sooner.
const pollEvery = 10 * time.Second

// maxFile bounds each of the files, in bytes.
const maxFile = 1 << 20

// Results of a reload.
const (
	taken   = "taken"
	refused = "refused"
)

// Config says where a certificate is. Every field is required.
type Config struct {
	CertFile, KeyFile string // PEM: the certificate with those of intermediate authorities, and its key
	Now               func() time.Time
	Log               *slog.Logger
	Registerer        prometheus.Registerer // takes the metrics of one Pair
	Subsystem         string                // in the names of these, such as "http"
}

// Pair is the certificate and its key that were last read, and could be used. Its methods may be
// called concurrently, except Watch.
type Pair struct {
	cfg      Config
	seen     [2][]byte // content of the files, whether or not it was taken
	now      atomic.Pointer[tls.Certificate]
	reloads  *prometheus.CounterVec
	notAfter prometheus.Gauge
}

// Open reads the files. It is an error if they are no pair. An expired certificate is none: it is
// logged, as clients will refuse it.
func Open(cfg Config) (*Pair, error) {
	f := metric.With(cfg.Registerer).In(cfg.Subsystem)
	p := &Pair{
		cfg: cfg,
		reloads: f.CounterVec("certificate_reloads_total", "Changed files of the TLS certificate that were read: taken, or refused, so that the old certificate stays.",
			metric.By("result", taken, refused)),
		notAfter: f.Gauge("certificate_not_after_seconds", "Time at which the TLS certificate that is served expires, in seconds since 1970."),
	}
	cert, err := p.read()
	if err != nil {
		return nil, err
	}
	p.use(cert)
	if expired := p.expired(cert); expired != nil {
		cfg.Log.Error("the TLS certificate has expired: clients refuse it", "err", expired)
	}
	return p, nil
}

// TLS returns the configuration of a server with the certificate: TLS 1.2 or 1.3, and HTTP/2 besides
// HTTP/1.1.
func (p *Pair) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.now.Load(), nil },
	}
}

// Watch reads the files every ten seconds, and at each signal, until ctx ends.
func (p *Pair) Watch(ctx context.Context, signals <-chan os.Signal) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		case <-poll.C:
		}
		p.reload()
	}
}

// reload reads the files. If they have changed and are a pair that has not expired, new connections
// get the certificate. Otherwise the old one stays.
func (p *Pair) reload() {
	before := p.seen
	cert, err := p.read()
	if err == nil {
		err = p.expired(cert)
	}
	same := bytes.Equal(before[0], p.seen[0]) && bytes.Equal(before[1], p.seen[1])
	switch {
	case same: // a refused pair was logged when it appeared
	case err != nil:
		p.reloads.WithLabelValues(refused).Inc()
		p.cfg.Log.Error("the new TLS certificate is refused, the old one stays", "err", err)
	default:
		p.use(cert)
		p.reloads.WithLabelValues(taken).Inc()
		p.cfg.Log.Info("the new TLS certificate is in use", "file", p.cfg.CertFile, "not_after", cert.Leaf.NotAfter)
	}
}

// read reads the files, and notes what they hold: nothing if they cannot be read.
func (p *Pair) read() (*tls.Certificate, error) {
	certPEM, errCert := readFile(p.cfg.CertFile)
	keyPEM, errKey := readFile(p.cfg.KeyFile)
	p.seen = [2][]byte{certPEM, keyPEM}
	if err := errors.Join(errCert, errKey); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s with the key in %s: %w", p.cfg.CertFile, p.cfg.KeyFile, err)
	}
	return &cert, nil
}

// expired returns an error if a certificate has expired.
func (p *Pair) expired(cert *tls.Certificate) error {
	if p.cfg.Now().After(cert.Leaf.NotAfter) {
		return fmt.Errorf("the certificate in %s expired at %s", p.cfg.CertFile, cert.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func (p *Pair) use(cert *tls.Certificate) {
	p.now.Store(cert)
	p.notAfter.Set(float64(cert.Leaf.NotAfter.Unix()))
}

// readFile reads a file that is not too long.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return data, nil
}
