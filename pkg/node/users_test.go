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

// createKey creates an access key at a path.
func (p *process) createKey(path, id, secret string) (key api.CredentialsWithSecret) {
	p.t.Helper()
	code, text := p.ask("POST", path, id, secret, "")
	if code != 201 {
		p.t.Fatalf("POST %s: %d %s", path, code, text)
	}
	expect.NoError(p.t, json.Unmarshal([]byte(text), &key))
	return key
}

// A user that is created through the API logs in by its key, may do what the rules say of its name,
// and is shut out as soon as the key is revoked. Users outlive a restart.
func TestUsersLogIn(t *testing.T) {
	const user, repository = "/api/v1/auth/users/ann", "/api/v1/repositories/unknown"
	const keys = user + "/credentials"
	s := config(t.TempDir())
	s.Access.File = filepath.Join(t.TempDir(), "rules.yaml")
	expect.NoError(t, os.WriteFile(s.Access.File, []byte("users: [{id: ann, policies: [FSReadAll, AuthManageOwnCredentials]}]"), 0o600))
	p := start(t, node.Coordinator, s)
	admin, password := p.info.AccessKeyID, p.info.SecretAccessKey
	p.expect(201, "POST", "/api/v1/auth/users", admin, password, `{"id":"ann"}`)
	first := p.createKey(keys, admin, password)
	p.expect(404, "GET", repository, first.AccessKeyID, first.SecretAccessKey, "")
	p.expect(401, "DELETE", repository, first.AccessKeyID, first.SecretAccessKey, "")
	p.expect(401, "GET", user, first.AccessKeyID, first.SecretAccessKey, "")
	second := p.createKey(keys, first.AccessKeyID, first.SecretAccessKey)
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

// The first key can be revoked when there is another one. It stays so, and is shown no more.
func TestTheFirstKeyIsReplaced(t *testing.T) {
	const keys, who = "/api/v1/auth/users/admin/credentials", "/api/v1/user"
	s := config(t.TempDir())
	p := start(t, node.Coordinator, s)
	first, secret := p.info.AccessKeyID, p.info.SecretAccessKey
	second := p.createKey(keys, first, secret)
	p.expect(204, "DELETE", keys+"/"+first, first, secret, "")
	p.expect(401, "GET", who, first, secret, "")
	p.expect(409, "DELETE", keys+"/"+second.AccessKeyID, second.AccessKeyID, second.SecretAccessKey, "")
	p.end()
	p = start(t, node.Coordinator, s)
	defer p.end()
	p.expect(401, "GET", who, first, secret, "")
	p.expect(200, "GET", who, second.AccessKeyID, second.SecretAccessKey, "")
	if notices := p.notices.String(); strings.Contains(notices, first) || strings.Contains(notices, "key") {
		t.Errorf("the coordinator announces\n%s", notices)
	}
}
