package node

import (
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/auth/users"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

// TestImportersAreJudgedAgain has users lose what an import needs before it is committed.
func TestImportersAreJudgedAgain(t *testing.T) {
	const policy = `
policies:
  - id: P
    statement:
      - {effect: allow, action: ["fs:ImportFromStorage"], resource: "arn:lakefs:fs:::namespace/s3://lake/a/"}
      - {effect: allow, action: ["fs:WriteObject", "fs:CreateCommit"], resource: "arn:lakefs:fs:::repository/*"}
users: [{id: ann, policies: [P]}, {id: bob, policies: [P]}]
`
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write := func(text string) { expect.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(policy)
	r, err := openRules(path, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	expect.NoError(t, err)
	store := users.New(users.Config{Bucket: new(kvtest.Memory), Now: time.Now})
	expect.NoError(t, store.Adopt(t.Context(), users.Secret{AccessKeyID: "RFPAIR", Digest: sha256.Sum256([]byte("s"))}))
	with := map[string]string{access.Admin: "RFPAIR"}
	for _, name := range []string{"ann", "bob"} {
		_, err := store.Create(t.Context(), name, users.SourceLocal)
		expect.NoError(t, err)
		key, _, err := store.Keys().Create(t.Context(), name)
		expect.NoError(t, err)
		with[name] = key.ID
	}
	ring, err := token.OpenRing(t.Context(), new(kvtest.Memory), time.Now)
	expect.NoError(t, err)
	sealer, err := auth.OpenSealer(t.Context(), new(kvtest.Memory))
	expect.NoError(t, err)
	a := auth.NewAuthenticator(auth.Config{Users: store, Tokens: ring, Sealer: sealer, Groups: r.mapped, Now: time.Now})
	may := r.mayImport(a.Stands)
	asked := access.Request{Repository: "lake", Branch: "main", Paths: []access.Path{{Source: "s3://lake/a/", Destination: "d", Prefix: true}}}
	check := func(user, key, want string) {
		t.Helper()
		err := may(t.Context(), access.Caller{User: user, Credential: access.Credential{Kind: access.AccessKey, ID: key}}, asked)
		if want == "" && err == nil || want != "" && fault.Is(err, fault.Denied) && strings.Contains(err.Error(), want) {
			return
		}
		t.Errorf("%s by %s: %v, want %q", user, key, err, want)
	}
	const revoked = "is not valid any more"
	check(access.Admin, with[access.Admin], "")
	check("ann", with["ann"], "")
	check("bob", with["bob"], "")
	check("ann", with["bob"], revoked)
	check(access.Admin, with["ann"], revoked)
	check("ann", "", revoked)
	expect.NoError(t, store.Keys().Delete(t.Context(), "ann", with["ann"]))
	check("ann", with["ann"], revoked)
	write(strings.Replace(policy, "{id: bob, policies: [P]}", "{id: bob, policies: [FSReadAll]}", 1))
	r.reload()
	check("bob", with["bob"], "insufficient permissions: not allowed to fs:WriteObject,fs:CreateCommit,fs:ImportFromStorage")
	write(policy)
	r.reload()
	check("bob", with["bob"], "")
	expect.NoError(t, store.Delete(t.Context(), "bob"))
	check("bob", with["bob"], revoked)
	sessions := store.Sessions()
	s, err := sessions.Begin(t.Context(), users.Login{User: access.Admin, Kind: "k", Key: with[access.Admin], Expires: time.Now().Add(time.Hour)})
	expect.NoError(t, err)
	for _, kind := range []access.CredentialKind{access.Session, access.Token} {
		c := access.Caller{User: access.Admin, Credential: access.Credential{Kind: kind, ID: s.ID}}
		expect.NoError(t, may(t.Context(), c, asked))
		c.User = "ann"
		if err := may(t.Context(), c, asked); !fault.Is(err, fault.Denied) {
			t.Errorf("a %s of another user: %v", kind, err)
		}
	}
	expect.NoError(t, sessions.Revoke(t.Context(), access.Admin, s.ID))
	err = may(t.Context(), access.Caller{User: access.Admin, Credential: access.Credential{Kind: access.Session, ID: s.ID}}, asked)
	if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "its session was revoked") {
		t.Errorf("a session that was revoked: %v", err)
	}
}

// TestImportersAreBusy keeps the users of imports that run, and of no others.
func TestImportersAreBusy(t *testing.T) {
	b := &base{imports: imports.NewStore(new(kvtest.Memory))}
	for user, ended := range map[string]bool{"ann": false, "bob": true} {
		r := imports.New(imports.Job{ImportID: "import-of-" + user}, imports.Request{Caller: access.Caller{User: user}}, time.Now())
		if ended {
			var err error
			r, err = r.Fail(time.Now(), nil, "broken", 0)
			expect.NoError(t, err)
		}
		expect.NoError(t, b.imports.Create(t.Context(), r))
	}
	busy, err := b.importers(t.Context())
	if err != nil || len(busy) != 1 || !busy["ann"] {
		t.Errorf("%v, %v", busy, err)
	}
}
