package natsd

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"golang.org/x/crypto/bcrypt"
)

// Access says which clients may connect to a server that listens: the user with the
// password, and holders of one of the nkeys; any client if neither is set.
type Access struct {
	User, Password string
	NKeys          []string // public keys of users, which begin with "U"
	SeedFile       string   // the seed of one more nkey; "": none
	CertFile       string   // PEM: the server's certificate, with KeyFile; "": no TLS
	KeyFile        string
	CAFile         string // PEM: clients also need a certificate that this CA has signed; "": none
}

// named reports whether clients must name a user.
func (a Access) named() bool { return a.User != "" || len(a.NKeys) > 0 || a.SeedFile != "" }

// inside is the user that the process itself connects as.
const inside = "rangefleet-inside"

// apply sets the options. It returns the password of the user inside, "" if none is
// needed.
func (a Access) apply(opts *server.Options) (password string, err error) {
	if a.CertFile != "" {
		if err := a.encrypt(opts); err != nil {
			return "", err
		}
	}
	if !a.named() {
		return "", nil
	}
	if opts.Nkeys, err = a.nkeys(); err != nil {
		return "", err
	}
	password = rand.Text()
	users := map[string]string{inside: password}
	if a.User != "" {
		users[a.User] = a.Password
	}
	for name, text := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost) // it is kept only in memory
		if err != nil {
			return "", fmt.Errorf("the password of the NATS user %q: %w", name, err)
		}
		opts.Users = append(opts.Users, &server.User{Username: name, Password: string(hash)})
	}
	return password, nil
}

// encrypt requires TLS.
func (a Access) encrypt(opts *server.Options) (err error) {
	const tlsTimeout = 5 // seconds that a client may take to agree on TLS
	opts.TLS, opts.TLSVerify, opts.TLSTimeout = true, a.CAFile != "", tlsTimeout
	opts.TLSConfig, err = server.GenTLSConfig(&server.TLSConfigOpts{
		CertFile: a.CertFile, KeyFile: a.KeyFile, CaFile: a.CAFile, Verify: opts.TLSVerify, Timeout: tlsTimeout,
	})
	if err != nil {
		return fmt.Errorf("TLS of the NATS server, by %s, %s and %s: %w", a.CertFile, a.KeyFile, a.CAFile, err)
	}
	return nil
}

func (a Access) nkeys() ([]*server.NkeyUser, error) {
	public := a.NKeys
	if a.SeedFile != "" {
		key, err := publicKey(a.SeedFile)
		if err != nil {
			return nil, fmt.Errorf("the nkey seed in %s: %w", a.SeedFile, err)
		}
		public = append(public[:len(public):len(public)], key)
	}
	var users []*server.NkeyUser
	for _, key := range public {
		if !nkeys.IsValidPublicUserKey(key) {
			return nil, fmt.Errorf("%q is no public nkey of a user", key)
		}
		users = append(users, &server.NkeyUser{Nkey: key})
	}
	return users, nil
}

// publicKey returns the public key of a seed in a file.
func publicKey(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace(data))
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	key, err := pair.PublicKey()
	if err == nil && !nkeys.IsValidPublicUserKey(key) {
		err = errors.New("it is not that of a user")
	}
	return key, err
}

// Login returns the user and password of connections of this process, if they need any.
func (s *Server) Login() (user, password string) {
	if s.password == "" {
		return "", ""
	}
	return inside, s.password
}

// warn logs if clients of other machines could connect without authentication or TLS.
func (c Config) warn(host string) {
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return
	}
	switch {
	case !c.Access.named() && c.Access.CAFile == "":
		c.Log.Warn("nats server takes connections of other machines without authentication", "listen", c.Listen)
	case c.Access.CertFile == "":
		c.Log.Warn("nats server takes connections of other machines without TLS", "listen", c.Listen)
	}
}
