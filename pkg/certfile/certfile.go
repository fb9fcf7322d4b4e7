// Package certfile keeps a server's TLS certificate, and the authorities whose clients it lets in, in
// step with the files that they come from: these may be replaced while the process runs.
package certfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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

// Config says where a certificate is. Every field but CAFile is required.
type Config struct {
	CertFile, KeyFile string // PEM: the certificate with those of intermediate authorities, and its key
	CAFile            string // PEM: clients need a certificate that one of these has signed; "": they need none
	Now               func() time.Time
	Log               *slog.Logger
	Registerer        prometheus.Registerer // takes the metrics of one Pair
	Use               string                // of the certificate, a label of these metrics such as "api"
}

// Pair is the certificate and its key that were last read, and could be used. Its methods may be
// called concurrently, except Watch.
type Pair struct {
	cfg      Config
	seen     [3][]byte // content of the files, whether or not it was taken
	now      atomic.Pointer[content]
	reloads  *prometheus.CounterVec
	notAfter prometheus.Gauge
}

// content is what the files hold.
type content struct {
	cert    *tls.Certificate
	clients *x509.CertPool // authorities of clients; nil: these need no certificate
}

// Open reads the files. It is an error if they are no pair. An expired certificate is none: it is
// logged, as clients will refuse it.
func Open(cfg Config) (*Pair, error) {
	f := metric.With(cfg.Registerer).For("use", cfg.Use).In("certificate")
	p := &Pair{
		cfg: cfg,
		reloads: f.CounterVec("reloads_total", "Changed files of the TLS certificate that were read: taken, or refused, so that the old certificate stays.",
			metric.By("result", taken, refused)),
		notAfter: metric.With(cfg.Registerer).CertificateEnd(cfg.Use),
	}
	c, err := p.read()
	if err != nil {
		return nil, err
	}
	p.use(c)
	if expired := p.expired(c.cert); expired != nil {
		cfg.Log.Error("the TLS certificate has expired: clients refuse it", "err", expired)
	}
	return p, nil
}

// TLS returns the configuration of a server with the certificate: TLS 1.2 or 1.3, and the application's
// protocols by ALPN, such as "h2".
func (p *Pair) TLS(protocols ...string) *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.now.Load().cert, nil },
	}
	if p.cfg.CAFile == "" {
		return c
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, p.now.Load().clients
	c.SessionTicketsDisabled = true // with a ticket, a client would not show its certificate again
	fixed := c.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := fixed.Clone()
		now.ClientCAs = p.now.Load().clients
		return now, nil
	}
	return c
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
// get the certificate, and are judged by the authorities. Otherwise the old ones stay.
func (p *Pair) reload() {
	before := p.seen
	c, err := p.read()
	if err == nil {
		err = p.expired(c.cert)
	}
	same := bytes.Equal(before[0], p.seen[0]) && bytes.Equal(before[1], p.seen[1]) && bytes.Equal(before[2], p.seen[2])
	switch {
	case same: // a refused pair was logged when it appeared
	case err != nil:
		p.reloads.WithLabelValues(refused).Inc()
		p.cfg.Log.Error("the new TLS certificate is refused, the old one stays", "err", err)
	default:
		p.use(c)
		p.reloads.WithLabelValues(taken).Inc()
		p.cfg.Log.Info("the new TLS certificate is in use", "file", p.cfg.CertFile, "not_after", c.cert.Leaf.NotAfter)
	}
}

// read reads the files, and notes what they hold: nothing if they cannot be read.
func (p *Pair) read() (*content, error) {
	certPEM, errCert := readFile(p.cfg.CertFile)
	keyPEM, errKey := readFile(p.cfg.KeyFile)
	var caPEM []byte
	var errCA error
	if p.cfg.CAFile != "" {
		caPEM, errCA = readFile(p.cfg.CAFile)
	}
	p.seen = [3][]byte{certPEM, keyPEM, caPEM}
	if err := errors.Join(errCert, errKey, errCA); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s with the key in %s: %w", p.cfg.CertFile, p.cfg.KeyFile, err)
	}
	c := &content{cert: &cert}
	if p.cfg.CAFile != "" {
		if c.clients = x509.NewCertPool(); !c.clients.AppendCertsFromPEM(caPEM) {
			return nil, fmt.Errorf("%s has no certificate in PEM", p.cfg.CAFile)
		}
	}
	return c, nil
}

// expired returns an error if a certificate has expired.
func (p *Pair) expired(cert *tls.Certificate) error {
	if p.cfg.Now().After(cert.Leaf.NotAfter) {
		return fmt.Errorf("the certificate in %s expired at %s", p.cfg.CertFile, cert.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func (p *Pair) use(c *content) {
	p.now.Store(c)
	p.notAfter.Set(metric.Time(c.cert.Leaf.NotAfter))
}

// End returns when the first certificate of a PEM file expires. The file has at least one.
func End(path string) (first time.Time, err error) {
	data, err := readFile(path)
	if err != nil {
		return first, err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return first, fmt.Errorf("%s: %w", path, err)
		}
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	if first.IsZero() {
		return first, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return first, nil
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
