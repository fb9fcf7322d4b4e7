package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestAddressOfTheClient(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, x := range []struct {
		name      string
		peer      string
		forwarded []string
		want      string
	}{
		{"no proxy", "192.0.2.1:1", nil, "192.0.2.1"},
		{"no proxy, forged", "192.0.2.1:1", []string{"198.51.100.7"}, "192.0.2.1"},
		{"a proxy itself", "10.0.0.1:1", nil, "10.0.0.1"},
		{"by a proxy", "10.0.0.1:1", []string{"198.51.100.7"}, "198.51.100.7"},
		{"by a proxy, partly forged", "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"by two proxies", "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.7,10.0.0.2"}, "198.51.100.7"},
		{"by two proxies, each in a header of its own", "10.0.0.1:1", []string{"198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
		{"by a proxy, forged in a header of its own", "10.0.0.1:1", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		{"proxies alone", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"not readable", "10.0.0.1:1", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		{"not readable behind the client", "10.0.0.1:1", []string{"unknown, 198.51.100.7"}, "198.51.100.7"},
		{"empty", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"IPv6", "[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::"},
		{"IPv6 by a proxy", "[fd00::1]:1", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::"},
		{"IPv4 as IPv6", "[::ffff:192.0.2.1]:1", nil, "192.0.2.1"},
		{"IPv4 as IPv6 by a proxy", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"IPv6 with a zone by a proxy", "[fd00::1]:1", []string{"fe80::1%\x1b[2J admin"}, "fe80::"},
		{"a zone", "[fe80::1%eth0]:1", nil, "fe80::"},
		{"no address", "pipe", []string{"198.51.100.7"}, "invalid IP"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = x.peer
		r.Header["X-Forwarded-For"] = x.forwarded
		if got := network(proxies.client(r)); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
		if got := proxies.client(r); x.forwarded != nil && got.Zone() != "" {
			t.Errorf("%s: a header names the zone of %s", x.name, got)
		}
		r.Header = http.Header{"X-Forwarded-For": {"198.51.100.7"}}
		if got, want := network(Proxies(nil).client(r)), network(Proxies(nil).client(&http.Request{RemoteAddr: x.peer})); got != want {
			t.Errorf("%s: without trusted proxies a header changes the address to %s, want %s", x.name, got, want)
		}
	}
}
