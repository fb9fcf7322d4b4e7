package queuetest

import (
	"os"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// WriteCreds writes a file of NATS credentials of a new user. They expire at a time in seconds since
// 1970, or never if that is 0.
func WriteCreds(t testing.TB, path string, until int64) {
	t.Helper()
	account, err := nkeys.CreateAccount()
	expect.NoError(t, err)
	user, err := nkeys.CreateUser()
	expect.NoError(t, err)
	key, err := user.PublicKey()
	expect.NoError(t, err)
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
