// Package certs makes certificates for tests.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// Authority is a certificate authority for a test.
type Authority struct {
	File string // path of its certificate in PEM

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New returns an authority whose files are removed at the end of the test.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.cert = template("authority")
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = newKey(t)
	a.File = a.write("ca.pem", "CERTIFICATE", a.sign(a.cert, a.key))
	return a
}

// Issue returns the paths of a certificate for 127.0.0.1, localhost and the name, valid for
// servers and clients, and of its key. A later certificate of the name replaces the files.
func (a *Authority) Issue(name string) (certFile, keyFile string) {
	a.t.Helper()
	return a.IssueWith(name, func(*x509.Certificate) {})
}

// IssueWith is Issue of a certificate that a function changes before it is signed.
func (a *Authority) IssueWith(name string, change func(*x509.Certificate)) (certFile, keyFile string) {
	a.t.Helper()
	cert, key := template(name), newKey(a.t)
	cert.DNSNames, cert.IPAddresses = []string{name, "localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	change(cert)
	bytes, err := x509.MarshalECPrivateKey(key)
	expect.NoError(a.t, err)
	return a.write(name+".pem", "CERTIFICATE", a.sign(cert, key)), a.write(name+".key", "EC PRIVATE KEY", bytes)
}

func (a *Authority) sign(cert *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	expect.NoError(a.t, err)
	return der
}

func (a *Authority) write(name, kind string, data []byte) (path string) {
	a.t.Helper()
	path = filepath.Join(a.dir, name)
	expect.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
	return path
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	return key
}

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // never fails since Go 1.24
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}
