package natsd

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"golang.org/x/crypto/bcrypt"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// Access says which clients may connect to a server that listens. Workers are the user with the
// password, and holders of one of the nkeys; any client if none of these is set.
type Access struct {
	User, Password string
	NKeys          []string // public keys of workers, which begin with "U"
	SeedFile       string   // the seed of one more of these; "": none
	Coordinators   []string // public keys of other coordinators, who may do everything
	Insecure       bool     // clients need no login, even if coordinators have one
	// TLS has the server's certificate. If it requires a certificate of clients, they need that, too.
	// It may give each connection other ones. nil: no TLS.
	TLS *tls.Config
}

// mutual reports whether clients need a certificate.
func (a Access) mutual() bool {
	return a.TLS != nil && a.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

// named reports whether clients must name a user.
func (a Access) named() bool {
	if a.User != "" || len(a.NKeys) > 0 || a.SeedFile != "" {
		return true
	}
	return len(a.Coordinators) > 0 && !a.Insecure && !a.mutual()
}

// Users that clients do not name: inside is what the process itself connects as, and anybody is a
// client that names no user, where it need not.
const (
	inside  = "rangefleet-inside"
	anybody = "rangefleet-worker"
)

// apply sets the options of a server that listens. It returns the password of the user inside.
func (a Access) apply(opts *server.Options) (password string, err error) {
	if a.TLS != nil {
		const tlsTimeout = 5 // seconds that a client may take to agree on TLS
		opts.TLS, opts.TLSVerify, opts.TLSTimeout, opts.TLSConfig = true, a.mutual(), tlsTimeout, a.TLS
	}
	workers := server.NewAccount(natsconn.WorkersAccount)
	opts.Accounts = []*server.Account{workers}
	if opts.Nkeys, err = a.nkeys(workers); err != nil {
		return "", err
	}
	password = rand.Text()
	users := []*server.User{{Username: inside, Password: password}}
	if a.User != "" {
		users = append(users, &server.User{Username: a.User, Password: a.Password, Account: workers, Permissions: permissions()})
	}
	for _, user := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte(user.Password), bcrypt.MinCost) // it is kept only in memory
		if err != nil {
			return "", fmt.Errorf("the password of the NATS user %q: %w", user.Username, err)
		}
		user.Password = string(hash)
	}
	if !a.named() {
		// The server compares this password with itself, which a hash would not stand.
		users = append(users, &server.User{Username: anybody, Password: rand.Text(), Account: workers, Permissions: permissions()})
		opts.NoAuthUser = anybody
	}
	opts.Users = users
	return password, nil
}

// permissions returns those of a worker.
func permissions() *server.Permissions {
	publish, subscribe := natsconn.WorkerPermissions()
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}
}

// open opens the ways from the account of the workers to that of the process, the global one.
func open(srv *server.Server) error {
	workers, err := srv.LookupAccount(natsconn.WorkersAccount)
	if err != nil {
		return err
	}
	if err := workers.AddMapping(natsconn.APISubjects, natsconn.MappedSubjects); err != nil {
		return err
	}
	fleet, only := srv.GlobalAccount(), []*server.Account{workers}
	for _, w := range natsconn.Ways() {
		if err := errors.Join(export(fleet, w, only), connect(workers, w, fleet)); err != nil {
			return fmt.Errorf("open %s to workers: %w", w.Subject, err)
		}
	}
	return nil
}

// export lets accounts use a way.
func export(fleet *server.Account, w natsconn.Way, to []*server.Account) error {
	switch w.Kind {
	case natsconn.Hear:
		return fleet.AddStreamExport(w.Fleet, to)
	case natsconn.Pull:
		return fleet.AddServiceExportWithResponse(w.Fleet, server.Streamed, to)
	default:
		return fleet.AddServiceExport(w.Fleet, to)
	}
}

// connect has the account of the workers use a way.
func connect(workers *server.Account, w natsconn.Way, fleet *server.Account) error {
	if w.Kind == natsconn.Hear {
		return workers.AddStreamImport(fleet, w.Fleet, "")
	}
	return workers.AddServiceImport(fleet, w.Imported(), w.Fleet)
}

// nkeys returns the users who prove themselves by an nkey.
func (a Access) nkeys(workers *server.Account) ([]*server.NkeyUser, error) {
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
		users = append(users, &server.NkeyUser{Nkey: key, Account: workers, Permissions: permissions()})
	}
	for _, key := range a.Coordinators {
		users = append(users, &server.NkeyUser{Nkey: key})
	}
	for _, user := range users {
		if !nkeys.IsValidPublicUserKey(user.Nkey) {
			return nil, fmt.Errorf("%q is no public nkey of a user", user.Nkey)
		}
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
	case !c.Access.named() && !c.Access.mutual():
		c.Log.Warn("nats server takes connections of other machines without authentication", "listen", c.Listen)
	case c.Access.TLS == nil:
		c.Log.Warn("nats server takes connections of other machines without TLS", "listen", c.Listen)
	}
}
