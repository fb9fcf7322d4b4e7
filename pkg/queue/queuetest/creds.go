package queuetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// StartOperated starts a NATS server with an operator and a system account, whose users log in by
// JWT. It returns the file of the credentials of a user whose account has so many bytes on disk, or
// no limit if that is -1. They expire like those of WriteCreds.
func StartOperated(t testing.TB, room, until int64) (s *server.Server, creds string) {
	t.Helper()
	operator, operatorKey := newKey(t, nkeys.CreateOperator)
	account, accountKey := newKey(t, nkeys.CreateAccount)
	_, systemKey := newKey(t, nkeys.CreateAccount)
	limited := jwt.NewAccountClaims(accountKey)
	limited.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: room, Streams: -1, Consumer: -1}
	resolver := &server.MemAccResolver{}
	for public, claims := range map[string]*jwt.AccountClaims{accountKey: limited, systemKey: jwt.NewAccountClaims(systemKey)} {
		token, err := claims.Encode(operator)
		expect.NoError(t, err)
		expect.NoError(t, resolver.Store(public, token))
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		TrustedKeys: []string{operatorKey}, AccountResolver: resolver, SystemAccount: systemKey,
	})
	expect.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(expect.Patience) {
		t.Fatal("the NATS server does not get ready")
	}
	creds = filepath.Join(t.TempDir(), "user.creds")
	writeUser(t, creds, account, until)
	return s, creds
}

// WriteCreds writes a file of NATS credentials of a new user of a new account. They expire at a time
// in seconds since 1970, or never if that is 0.
func WriteCreds(t testing.TB, path string, until int64) {
	t.Helper()
	account, _ := newKey(t, nkeys.CreateAccount)
	writeUser(t, path, account, until)
}

func writeUser(t testing.TB, path string, account nkeys.KeyPair, until int64) {
	t.Helper()
	user, key := newKey(t, nkeys.CreateUser)
	seed, err := user.Seed()
	expect.NoError(t, err)
	claims := jwt.NewUserClaims(key)
	claims.Expires = until
	token, err := claims.Encode(account)
	expect.NoError(t, err)
	text, err := jwt.FormatUserConfig(token, seed)
	expect.NoError(t, err)
	expect.NoError(t, os.WriteFile(path, text, 0o600))
}

func newKey(t testing.TB, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string) {
	t.Helper()
	pair, err := create()
	expect.NoError(t, err)
	public, err = pair.PublicKey()
	expect.NoError(t, err)
	return pair, public
}
