package natsconn

import (
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// Login is how a process authenticates to NATS, and how it verifies NATS servers. The
// zero Login sends only what the URL holds, and trusts the system's CAs. Files are PEM,
// except SeedFile and CredsFile, which have NATS's own formats.
type Login struct {
	User, Password string
	SeedFile       string // an nkey's seed, which begins with "SU"
	CredsFile      string // a JWT and its seed, read for each connection
	CAFile         string // by which servers are verified; "": the system's CAs. If set, TLS is required
	CertFile       string // the client certificate, with KeyFile
	KeyFile        string
}

// options reads the files, so that Connect reports one that cannot be read.
func (l Login) options() ([]nats.Option, error) {
	var opts []nats.Option
	if l.User != "" {
		opts = append(opts, nats.UserInfo(l.User, l.Password))
	}
	var errs []error
	if l.SeedFile != "" {
		opt, err := nats.NkeyOptionFromSeed(l.SeedFile)
		if err != nil {
			err = fmt.Errorf("nats.nkey_seed_file %q: %w", l.SeedFile, err)
		}
		opts, errs = append(opts, opt), append(errs, err)
	}
	if l.CredsFile != "" {
		_, err := os.ReadFile(l.CredsFile)
		if err != nil {
			err = fmt.Errorf("nats.creds_file: %w", err) // which names the path
		}
		opts, errs = append(opts, nats.UserCredentials(l.CredsFile)), append(errs, err)
	}
	if l.CAFile != "" {
		opts, errs = append(opts, nats.RootCAs(l.CAFile)), append(errs, apply(nats.RootCAs(l.CAFile), "nats.ca_file", l.CAFile))
	}
	if l.CertFile != "" {
		cert := nats.ClientCert(l.CertFile, l.KeyFile)
		opts, errs = append(opts, cert), append(errs, apply(cert, "nats.cert_file", l.CertFile))
	}
	return opts, errors.Join(errs...)
}

// apply returns the error of an option that reads the file of a setting.
func apply(opt nats.Option, key, path string) error {
	if err := opt(&nats.Options{}); err != nil {
		return fmt.Errorf("%s %q: %w", key, path, err)
	}
	return nil
}
