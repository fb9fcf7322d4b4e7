package netclass_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/rangefleet/rangefleet/internal/netclass"
)

func TestOf(t *testing.T) {
	for class, addresses := range map[netclass.Class][]string{
		netclass.Public: {
			"1.1.1.1", "9.255.255.255", "11.0.0.0", "52.216.0.1", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
			"169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
			"2600:1fa0:8000::1", "2606:4700::1111", "3ffe:ffff::1", "2001:200::1", "64:ff9b::34d8:1", "::ffff:1.1.1.1",
		},
		netclass.Unspecified: {"0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::"},
		netclass.Loopback:    {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"},
		netclass.LinkLocal:   {"169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "::ffff:169.254.1.1", "64:ff9b::a9fe:101"},
		netclass.Private: {
			"10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "198.18.0.1",
			"fc00::1", "fd12:3456::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::1",
		},
		netclass.Metadata: {
			"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23", "fd00:ec2::254%eth0", "fd20:ce::254", "100.100.100.200", "168.63.129.16",
			"192.0.0.192", "::ffff:169.254.169.254", "::ffff:0:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
		},
		netclass.Multicast: {"224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1", "::ffff:224.0.0.1"},
		netclass.Reserved: {
			"192.0.0.1", "192.0.2.1", "192.88.99.1", "198.51.100.1", "203.0.113.1", "240.0.0.1",
			"2001::1", "2001:db8::1", "2002:101:101::1", "3fff::1", "4000::1", "100::1", "5f00::1", "::1.1.1.1", "::ffff:0:1.1.1.1", "1::",
		},
	} {
		for _, text := range addresses {
			if got := netclass.Of(netip.MustParseAddr(text)); got != class {
				t.Errorf("%s is %s, want %s", text, got, class)
			}
		}
	}
	if got := netclass.Of(netip.Addr{}); got != netclass.Reserved {
		t.Errorf("no address is %s", got)
	}
	if all := netclass.Refused(); slices.Contains(all, netclass.Public) || len(all) != 7 {
		t.Errorf("refused are %v", all)
	}
}

// No address that Go's own predicates or IANA's networks call special is public, in whatever
// form of IPv6 it is written.
func FuzzOf(f *testing.F) {
	for _, text := range []string{"127.0.0.1", "1.1.1.1", "::1", "64:ff9b::a00:1", "2002:a9fe:a9fe::", "fd00:ec2::254", "2600::1"} {
		f.Add(netip.MustParseAddr(text).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			t.Skip()
		}
		class := netclass.Of(a)
		if class == netclass.Public && special(net.IP(b)) {
			t.Errorf("%s is %s", a, class)
		}
		if class != netclass.Public && !slices.Contains(netclass.Refused(), class) {
			t.Errorf("%s has the unknown class %q", a, class)
		}
		if a.Is4() {
			for form, as := range forms(a.As4()) {
				if got := netclass.Of(as); got != class && (class != netclass.Public || got != netclass.Reserved) {
					t.Errorf("%s is %s, but %s as %s is %s", a, class, as, form, got)
				}
			}
		}
	})
}

// special is a twin of Of by package net.
func special(ip net.IP) bool {
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip.Equal(net.IPv4(168, 63, 129, 16)) {
		return true
	}
	networks := []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "fec0::/10", "2001::/32", "2001:db8::/32"}
	return slices.ContainsFunc(networks, func(text string) bool {
		_, n, err := net.ParseCIDR(text)
		return err != nil || n.Contains(ip)
	})
}

// forms returns an address of IPv4 as addresses of IPv6.
func forms(a [4]byte) map[string]netip.Addr {
	mapped := netip.AddrFrom16(netip.AddrFrom4(a).As16())
	nat64 := [16]byte{0, 0x64, 0xff, 0x9b}
	copy(nat64[12:], a[:])
	tunnel := [16]byte{0x20, 0x02}
	copy(tunnel[2:], a[:])
	return map[string]netip.Addr{"mapped": mapped, "NAT64": netip.AddrFrom16(nat64), "6to4": netip.AddrFrom16(tunnel)}
}
