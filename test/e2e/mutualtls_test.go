package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rangefleet/rangefleet/internal/certs"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

// A fleet of the accounts of deploy/ speaks mutual TLS with its NATS server. A worker is killed, and
// then all certificates and the authority are replaced: processes read them when they connect again.
func TestMutualTLS(t *testing.T) {
	want := metarangeOf(t, lines(t, awkwardObjects(t), awkwardPrefix, destination), smallBreaks)
	dir, address := t.TempDir(), freeAddress(t)
	ca := certs.New(t)
	install(t, dir, ca)
	accounts, err := os.ReadFile("../../deploy/nats/accounts.conf")
	expect.NoError(t, err)
	expect.NoError(t, os.WriteFile(filepath.Join(dir, "accounts.conf"), accounts, 0o600))
	expect.NoError(t, os.WriteFile(filepath.Join(dir, "nats.conf"), fmt.Appendf(nil, `
listen: %q
jetstream { store_dir: %q }
tls { cert_file: "%[3]s/server.pem", key_file: "%[3]s/server.key", ca_file: "%[3]s/ca.pem", verify: true }
include ./accounts.conf
`, address, filepath.Join(dir, "store"), dir), 0o600))
	nats := start(t, "nats-server", []string{"NATS_PASSWORD=coordinator-pw", "NATS_WORKER_PASSWORD=worker-pw"}, "-c", filepath.Join(dir, "nats.conf"))
	f := newFleet(t, smallBreaks, shape{nats: 1}, "RANGEFLEET_WORKERS=0", "RANGEFLEET_NATS_URL=tls://"+address,
		"RANGEFLEET_NATS_CA_FILE="+dir+"/ca.pem", "RANGEFLEET_NATS_CERT_FILE="+dir+"/client.pem", "RANGEFLEET_NATS_KEY_FILE="+dir+"/client.key",
		"RANGEFLEET_NATS_USER=rangefleet", "RANGEFLEET_NATS_PASSWORD=coordinator-pw")
	var workers []*process.Process
	for range 2 {
		workers = append(workers, start(t, "worker", append(f.env[:len(f.env):len(f.env)],
			"RANGEFLEET_WORKERS=2", "RANGEFLEET_NATS_USER=worker", "RANGEFLEET_NATS_PASSWORD=worker-pw")))
	}
	f.repository("repo", awkwardBucket)
	id := f.begin("repo", "main", awkwardSource, destination)
	f.waitFor("main", id, awkwardCount/4)
	expect.NoError(t, workers[0].Restart()) // by kill -9
	if got := f.finish("repo", "main", id); got.MetarangeID != want {
		t.Errorf("metarange %s, want %s", got.MetarangeID, want)
	}

	install(t, dir, certs.New(t))
	expect.NoError(t, nats.Restart())
	f.ready()
	if got := f.finish("repo", "main", f.begin("repo", "main", awkwardSource, destination)); got.MetarangeID != want {
		t.Errorf("after all certificates were replaced, metarange %s, want %s", got.MetarangeID, want)
	}
}

// install puts an authority, and certificates of it for a server and a client, into a directory.
func install(t *testing.T, dir string, ca *certs.Authority) {
	t.Helper()
	files := map[string]string{"ca.pem": ca.File}
	for _, name := range []string{"server", "client"} {
		files[name+".pem"], files[name+".key"] = ca.Issue(name)
	}
	for name, from := range files {
		content, err := os.ReadFile(from)
		expect.NoError(t, err)
		expect.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
}
