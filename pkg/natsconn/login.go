package natsconn

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"
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
func (l Login) options() (opts []nats.Option, err error) {
	add := func(setting, path string, opt nats.Option, failed error) {
		if failed == nil {
			failed = opt(new(nats.Options))
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s %q: %w", setting, path, failed))
		}
		opts = append(opts, opt)
	}
	if l.User != "" {
		opts = append(opts, nats.UserInfo(l.User, l.Password))
	}
	if l.SeedFile != "" {
		opt, err := nats.NkeyOptionFromSeed(l.SeedFile)
		add("nats.nkey_seed_file", l.SeedFile, opt, err)
	}
	if l.CredsFile != "" {
		_, err := os.ReadFile(l.CredsFile)
		add("nats.creds_file", l.CredsFile, nats.UserCredentials(l.CredsFile), err)
	}
	if l.CAFile != "" {
		add("nats.ca_file", l.CAFile, nats.RootCAs(l.CAFile), nil)
	}
	if l.CertFile != "" {
		add("nats.cert_file", l.CertFile, nats.ClientCert(l.CertFile, l.KeyFile), nil)
	}
	return opts, err
}

// CredsEnd returns when the JWT of a credentials file expires; the zero time if it never does.
func CredsEnd(path string) (time.Time, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, fmt.Errorf("read NATS credentials: %w", err)
	}
	token, err := jwt.ParseDecoratedJWT(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("NATS credentials %s: %w", path, err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return time.Time{}, fmt.Errorf("NATS credentials %s: %w", path, err)
	}
	if claims.Expires == 0 {
		return time.Time{}, nil
	}
	return time.Unix(claims.Expires, 0), nil
}
