// Package connect turns settings into the configurations of what a process connects to.
package connect

import (
	"net"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// NATS returns how to connect to the server at nats.url.
func NATS(s settings.NATS) natsconn.Config {
	return natsconn.Config{URL: s.URL, Replicas: s.Replicas, Login: natsconn.Login{
		User: s.User, Password: s.Password.Reveal(), SeedFile: s.NKeySeedFile, CredsFile: s.CredsFile,
		CAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile,
	}}
}

// Stores returns how stores are opened, without how far they are listed ahead.
func Stores(s settings.Settings) stores.Config {
	roles, _ := s.Sources.Table() // Load has checked it
	return stores.Config{
		S3: s3store.Config{
			Endpoint: s.S3.Endpoint, Proxy: s.S3.Proxy, Region: s.S3.Region, ForcePathStyle: s.S3.ForcePathStyle,
			AccessKeyID: s.S3.AccessKeyID, SecretAccessKey: s.S3.SecretAccessKey.Reveal(),
			STSEndpoint: s.STS.Endpoint,
			PageKeys:    s.S3.PageKeys, Unordered: s.S3.Order == "none", NoPutChecksums: !s.S3.PutChecksums,
		},
		Roles:        roles,
		LocalAllowed: s.Local.Allowed, Listing: listingMode(s.S3.Listing),
	}
}

// listingMode parses the setting s3.listing.
func listingMode(text string) objectstore.Mode {
	if text == "auto" {
		return "" // the store decides
	}
	return objectstore.Mode(text)
}

// Connections to a lakeFS server. How long a call may take is up to the call.
const (
	lakeFSConnections = 64 // that are kept open
	lakeFSDial        = 5 * time.Second
	lakeFSContinue    = time.Second // to answer Expect: 100-continue, before the body is sent anyway
)

// LakeFS returns a transport of connections to a lakeFS server.
func LakeFS() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: lakeFSDial}).DialContext,
		TLSHandshakeTimeout:   lakeFSDial,
		MaxIdleConnsPerHost:   lakeFSConnections,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true, // answers are passed on as they are
		ExpectContinueTimeout: lakeFSContinue,
	}
}

// providerWait is how long an identity provider may take to accept a connection, and to begin
// its answer.
const providerWait = 5 * time.Second

// Provider returns a transport of connections to identity providers.
func Provider() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: providerWait}).DialContext,
		TLSHandshakeTimeout:    providerWait,
		ResponseHeaderTimeout:  providerWait,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
