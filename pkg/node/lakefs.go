package node

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// Connections to the lakeFS server. How long a call may take is up to the call.
const (
	lakeFSConnections = 64 // that are kept open
	lakeFSDial        = 5 * time.Second
)

// lakeFS returns the session of the service account, and the gate that asks about callers.
// Both are nil if repositories are in the catalog.
func (b *base) lakeFS() (*lakefs.Session, *lakefs.Gate, error) {
	if b.Settings.Catalog.Kind != settings.CatalogLakeFS {
		return nil, nil, nil
	}
	s := b.Settings.LakeFS
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: lakeFSDial}).DialContext,
		TLSHandshakeTimeout: lakeFSDial,
		MaxIdleConnsPerHost: lakeFSConnections,
		IdleConnTimeout:     time.Minute,
	}
	config := lakefs.Config{URL: s.URL, Transport: transport, Registerer: b.registry}
	account, err := lakefs.Open(config, lakefs.Keys(s.AccessKeyID, s.SecretAccessKey.Reveal()))
	if err != nil {
		return nil, nil, err
	}
	return account, lakefs.NewGate(account, time.Now), nil
}

// newBranch returns a name for a hidden branch, which nobody can guess.
func newBranch() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "rf-" + hex.EncodeToString(b[:])
}
