package node_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/node"
)

// A user that is created through the API logs in by its key, may do what the rules say of its name,
// and is shut out as soon as the key is revoked. Users outlive a restart.
func TestUsersLogIn(t *testing.T) {
	const user, keys, repository = "/api/v1/auth/users/ann", "/api/v1/auth/users/ann/credentials", "/api/v1/repositories/unknown"
	s := config(t.TempDir())
	s.Access.File = filepath.Join(t.TempDir(), "rules.yaml")
	expect.NoError(t, os.WriteFile(s.Access.File, []byte("users: [{id: ann, policies: [FSReadAll, AuthManageOwnCredentials]}]"), 0o600))
	p := start(t, node.Coordinator, s)
	admin, password := p.info.AccessKeyID, p.info.SecretAccessKey
	p.expect(201, "POST", "/api/v1/auth/users", admin, password, `{"id":"ann"}`)
	create := func(id, secret string) (key api.CredentialsWithSecret) {
		t.Helper()
		code, text := p.ask("POST", keys, id, secret, "")
		if code != 201 {
			t.Fatalf("%d %s", code, text)
		}
		expect.NoError(t, json.Unmarshal([]byte(text), &key))
		return key
	}
	first := create(admin, password)
	p.expect(404, "GET", repository, first.AccessKeyID, first.SecretAccessKey, "")
	p.expect(401, "DELETE", repository, first.AccessKeyID, first.SecretAccessKey, "")
	p.expect(401, "GET", user, first.AccessKeyID, first.SecretAccessKey, "")
	second := create(first.AccessKeyID, first.SecretAccessKey)
	p.expect(204, "DELETE", keys+"/"+first.AccessKeyID, second.AccessKeyID, second.SecretAccessKey, "")
	p.expect(401, "GET", repository, first.AccessKeyID, first.SecretAccessKey, "")
	p.expect(409, "DELETE", "/api/v1/auth/users/admin/credentials/"+admin, admin, password, "")
	p.end()
	log := p.log.String()
	p = start(t, node.Coordinator, s)
	defer p.end()
	p.expect(401, "GET", repository, first.AccessKeyID, first.SecretAccessKey, "")
	p.expect(404, "GET", repository, second.AccessKeyID, second.SecretAccessKey, "")
	p.expect(204, "DELETE", user, admin, password, "")
	p.expect(401, "GET", repository, second.AccessKeyID, second.SecretAccessKey, "")
	p.expect(404, "GET", keys, admin, password, "")
	for _, secret := range []string{password, first.SecretAccessKey, second.SecretAccessKey} {
		if strings.Contains(log+p.log.String(), secret) {
			t.Error("the log has a secret")
		}
	}
}
