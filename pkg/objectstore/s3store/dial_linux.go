package s3store

import (
	"errors"
	"syscall"
)

// tcpUserTimeout is the option of tcp(7) that says for how many milliseconds sent data
// may stay unacknowledged. Keep-alive probes do not cover that: they are sent only on
// idle connections. Without the option the kernel retransmits for a quarter of an hour.
const tcpUserTimeout = 18

func setUserTimeout(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(deadAfter.Milliseconds()))
	})
	return errors.Join(err, failed)
}
