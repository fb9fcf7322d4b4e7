package s3store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/rangefleet/rangefleet/internal/netclass"
)

// guard decides where the connections for calls to a service may lead. A name in the DNS may
// lead anywhere, and to another place each time. So without an endpoint, connections lead
// only to public addresses, checked when they are made. An endpoint may be anywhere, but then
// connections lead nowhere else. The guard is immutable.
type guard struct {
	host, port string // the only ones; an empty host: any at a public address
	below      bool   // hosts below that one, too: they name buckets
	setting    string // names the endpoint
	refused    func(netclass.Class)
	log        *slog.Logger

	resolver *net.Resolver // nil is Go's
}

// elsewhereClass is that of a host that is not the endpoint's.
const elsewhereClass netclass.Class = "another host"

// Refusals returns all that Config.Refused may be called with.
func Refusals() []netclass.Class { return append(netclass.Refused(), elsewhereClass) }

// guarding returns the guard of a service with an endpoint, or without one if that is empty.
// The setting names the endpoint. Hosts below that of the endpoint may be those of buckets.
func guarding(cfg Config, setting, endpoint string, below bool) (*guard, error) {
	g := &guard{setting: setting, refused: cfg.Refused, log: cmp.Or(cfg.Log, slog.Default()), below: below}
	if g.refused == nil {
		g.refused = func(netclass.Class) {}
	}
	if cfg.Proxy != "" {
		g.setting, endpoint, g.below = "s3.proxy", cfg.Proxy, false
	}
	if endpoint == "" {
		return g, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%s names no host", g.setting)
	}
	g.host, g.port = plainHost(u.Hostname()), cmp.Or(u.Port(), map[string]string{"http": "80"}[u.Scheme], "443")
	if _, err := netip.ParseAddr(g.host); err == nil {
		g.below = false
	}
	return g, nil
}

// plainHost returns a host in the form in which hosts are compared.
func plainHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// dialing returns how a transport connects to host:port by way of d.
func (g *guard) dialing(d net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	d.Resolver = g.resolver
	if g.host == "" {
		control := d.Control
		d.ControlContext = func(_ context.Context, network, address string, c syscall.RawConn) error {
			if err := g.checkAddress(address); err != nil {
				return err
			}
			return control(network, address, c)
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if err := g.checkHost(address); err != nil {
			return nil, err
		}
		return d.DialContext(ctx, network, address)
	}
}

// checkHost refuses a host:port that is not that of the endpoint, if there is one.
func (g *guard) checkHost(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return g.refuse(address, elsewhereClass)
	}
	host = plainHost(host)
	if g.host == "" || port == g.port && (host == g.host || g.below && strings.HasSuffix(host, "."+g.host)) {
		return nil
	}
	return g.refuse(address, elsewhereClass)
}

// checkAddress refuses an IP address with a port that is not public.
func (g *guard) checkAddress(address string) error {
	class := netclass.Reserved
	if a, err := netip.ParseAddrPort(address); err == nil {
		class = netclass.Of(a.Addr())
	}
	if class == netclass.Public {
		return nil
	}
	return g.refuse(address, class)
}

func (g *guard) refuse(address string, class netclass.Class) error {
	g.refused(class)
	g.log.Warn("connection refused", "address", address, "class", string(class), "setting", g.setting)
	return &refusedDial{address: address, class: class, setting: g.setting}
}

// refusedDial is the error of a connection that the guard refuses.
type refusedDial struct {
	address string // that it would lead to
	class   netclass.Class
	setting string
}

func (e *refusedDial) Error() string {
	if e.class == elsewhereClass {
		return fmt.Sprintf("no connection to %s, since it is not the host and port of %s", e.address, e.setting)
	}
	return fmt.Sprintf("no connection to the %s address %s: connections lead to public addresses only, unless %s names another host", e.class, e.address, e.setting)
}
