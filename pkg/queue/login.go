package queue

import (
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// Login is how a process shows NATS who it is, and how it knows NATS. The zero Login
// shows no more than what the URL holds, and knows servers by the system's CAs. Paths are
// of PEM files, but for those of NATS's own forms.
type Login struct {
	User, Password string
	SeedFile       string // an nkey's seed, which begins with "SU"
	CredsFile      string // a JWT and its seed, read at each connection
	CAFile         string // by which servers are known; "": the system's. With it TLS is demanded
	CertFile       string // the client certificate, with KeyFile
	KeyFile        string
}

// options reads the files, so that one that cannot be read is told at the start.
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

// apply returns what is wrong with an option that reads the file of a setting.
func apply(opt nats.Option, key, path string) error {
	if err := opt(&nats.Options{}); err != nil {
		return fmt.Errorf("%s %q: %w", key, path, err)
	}
	return nil
}
