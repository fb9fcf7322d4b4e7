package s3store

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// A connection whose other end is gone is found dead after half a minute, whether or
// not something is on its way.
func TestDeadConnectionsAreNoticed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var d net.Dialer
	dialer(&d)
	conn, err := d.DialContext(t.Context(), "tcp", listener.Addr().String())
	expect.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.(*net.TCPConn).SyscallConn()
	expect.NoError(t, err)
	get := func(level, option int) (n int) {
		t.Helper()
		expect.NoError(t, raw.Control(func(fd uintptr) { n, err = syscall.GetsockoptInt(int(fd), level, option) }))
		expect.NoError(t, err)
		return n
	}
	if get(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE) == 0 {
		t.Error("nothing is probed")
	}
	idle, every, count := get(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE), get(syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL), get(syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT)
	if took := time.Duration(idle+every*count) * time.Second; took != silence {
		t.Errorf("an idle connection is found dead after %v, want %v", took, silence)
	}
	if ms := get(syscall.IPPROTO_TCP, tcpUserTimeout); time.Duration(ms)*time.Millisecond != silence {
		t.Errorf("what is unconfirmed is given up after %d ms", ms)
	}
}
