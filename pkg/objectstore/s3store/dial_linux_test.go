package s3store

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// A connection whose other end is gone is dead after half a minute, whether or not it
// has unacknowledged data.
func TestDeadConnectionsAreDetected(t *testing.T) {
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
		t.Error("there are no keep-alive probes")
	}
	idle, every, count := get(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE), get(syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL), get(syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT)
	if took := time.Duration(idle+every*count) * time.Second; took != deadAfter {
		t.Errorf("an idle connection is dead after %v, want %v", took, deadAfter)
	}
	if ms := get(syscall.IPPROTO_TCP, tcpUserTimeout); time.Duration(ms)*time.Millisecond != deadAfter {
		t.Errorf("unacknowledged data is given up after %d ms, want %v", ms, deadAfter)
	}
}
