package s3store

import (
	"errors"
	"syscall"
)

// tcpUserTimeout is the option of tcp(7) that bounds for how many milliseconds what
// was sent may be unconfirmed. Probes are sent only where there is no such data;
// without the option the system sends it again for a quarter of an hour.
const tcpUserTimeout = 18

func boundSilence(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
	})
	return errors.Join(err, failed)
}
