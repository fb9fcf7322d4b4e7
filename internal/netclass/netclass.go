// Package netclass tells addresses of the internet from those that lead into a network of
// one's own, or to the machine itself.
package netclass

import (
	"net/netip"
	"slices"
)

// Class is what an address is, in words for people.
type Class string

// The classes. Only Public addresses lead to the internet.
const (
	Public      Class = "public"
	Unspecified Class = "unspecified"      // means this machine in a connection
	Loopback    Class = "loopback"         // this machine
	LinkLocal   Class = "link-local"       // the machines on one wire
	Private     Class = "private"          // the networks of an organization or, behind NAT, of a carrier
	Metadata    Class = "metadata service" // gives a machine's credentials to whoever asks there
	Multicast   Class = "multicast"        // or broadcast
	Reserved    Class = "reserved"         // is not assigned, is for documents, or is a tunnel
)

// Refused returns the classes other than Public.
func Refused() []Class {
	return []Class{Unspecified, Loopback, LinkLocal, Private, Metadata, Multicast, Reserved}
}

// services are where the clouds answer metadata and credentials. Not all of them lie in a
// network that is not public.
var services = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // most clouds
	netip.MustParseAddr("169.254.170.2"),   // tasks of ECS
	netip.MustParseAddr("169.254.170.23"),  // pods of EKS
	netip.MustParseAddr("fd00:ec2::23"),
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle
}

type network struct {
	prefix netip.Prefix
	class  Class
}

// networks are the special networks of the IANA registries for IPv4 and IPv6. The first one
// that holds an address decides.
var networks = []network{
	{netip.MustParsePrefix("0.0.0.0/8"), Unspecified},
	{netip.MustParsePrefix("10.0.0.0/8"), Private},
	{netip.MustParsePrefix("100.64.0.0/10"), Private},
	{netip.MustParsePrefix("127.0.0.0/8"), Loopback},
	{netip.MustParsePrefix("169.254.0.0/16"), LinkLocal},
	{netip.MustParsePrefix("172.16.0.0/12"), Private},
	{netip.MustParsePrefix("192.0.0.0/24"), Reserved},
	{netip.MustParsePrefix("192.0.2.0/24"), Reserved},
	{netip.MustParsePrefix("192.88.99.0/24"), Reserved},
	{netip.MustParsePrefix("192.168.0.0/16"), Private},
	{netip.MustParsePrefix("198.18.0.0/15"), Private}, // tests of network devices
	{netip.MustParsePrefix("198.51.100.0/24"), Reserved},
	{netip.MustParsePrefix("203.0.113.0/24"), Reserved},
	{netip.MustParsePrefix("224.0.0.0/4"), Multicast},
	{netip.MustParsePrefix("255.255.255.255/32"), Multicast},
	{netip.MustParsePrefix("240.0.0.0/4"), Reserved},

	{netip.MustParsePrefix("::/128"), Unspecified},
	{netip.MustParsePrefix("::1/128"), Loopback},
	{netip.MustParsePrefix("64:ff9b:1::/48"), Private}, // NAT64 of an organization
	{netip.MustParsePrefix("fc00::/7"), Private},
	{netip.MustParsePrefix("fe80::/10"), LinkLocal},
	{netip.MustParsePrefix("fec0::/10"), Private}, // site-local
	{netip.MustParsePrefix("ff00::/8"), Multicast},
	{netip.MustParsePrefix("2001::/23"), Reserved}, // Teredo, ORCHID, tests
	{netip.MustParsePrefix("2001:db8::/32"), Reserved},
	{netip.MustParsePrefix("3fff::/20"), Reserved},
}

// embedding are the networks of IPv6 whose addresses hold one of IPv4, from a byte on.
var embedding = []struct {
	prefix netip.Prefix
	at     int
	public bool // a public address of IPv4 is reached through it
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12, true}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2, false},    // 6to4
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12, false},
	{netip.MustParsePrefix("::/96"), 12, false},
}

// unicast is the part of IPv6 of which the public addresses are.
var unicast = netip.MustParsePrefix("2000::/3")

// Of returns the class of an address. An address of IPv6 that holds one of IPv4 has the class
// of that one, unless only a tunnel that nobody uses any more leads there. The zero Addr is
// Reserved. Of cannot know the NAT64 prefixes that a network has chosen for itself.
func Of(a netip.Addr) Class {
	a = a.WithZone("").Unmap()
	if !a.IsValid() {
		return Reserved
	}
	if slices.Contains(services, a) {
		return Metadata
	}
	for _, n := range networks {
		if n.prefix.Contains(a) {
			return n.class
		}
	}
	if a.Is4() {
		return Public
	}
	for _, e := range embedding {
		if !e.prefix.Contains(a) {
			continue
		}
		b := a.As16()
		if class := Of(netip.AddrFrom4([4]byte(b[e.at : e.at+4]))); class != Public || e.public {
			return class
		}
		return Reserved
	}
	if unicast.Contains(a) {
		return Public
	}
	return Reserved
}
