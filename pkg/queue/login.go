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
			err = fmt.Errorf("the nkey seed in %s: %w", l.SeedFile, err)
		}
		opts, errs = append(opts, opt), append(errs, err)
	}
	if l.CredsFile != "" {
		_, err := os.ReadFile(l.CredsFile)
		opts, errs = append(opts, nats.UserCredentials(l.CredsFile)), append(errs, err)
	}
	if l.CAFile != "" {
		opts, errs = append(opts, nats.RootCAs(l.CAFile)), append(errs, apply(nats.RootCAs(l.CAFile), "CA", l.CAFile))
	}
	if l.CertFile != "" {
		cert := nats.ClientCert(l.CertFile, l.KeyFile)
		opts, errs = append(opts, cert), append(errs, apply(cert, "client certificate", l.CertFile))
	}
	return opts, errors.Join(errs...)
}

// apply returns what is wrong with an option that reads a file.
func apply(opt nats.Option, what, path string) error {
	if err := opt(&nats.Options{}); err != nil {
		return fmt.Errorf("the %s in %s: %w", what, path, err)
	}
	return nil
}
