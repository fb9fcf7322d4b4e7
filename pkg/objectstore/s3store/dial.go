package s3store

import (
	"net"
	"time"
)

// How it is noticed that nobody is at the other end. A store may take minutes for
// an answer, but the system that it runs on confirms at once what it receives: a
// connection on which it does not is dead, and the call is tried on another one.
const (
	connectTimeout = 10 * time.Second
	silence        = 30 * time.Second // without confirmation a connection is dead, about

	probeAfter = 10 * time.Second // without a byte
	probeEvery = 5 * time.Second
	probes     = int((silence - probeAfter) / probeEvery)
)

func dialer(d *net.Dialer) {
	d.Timeout = connectTimeout
	d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes}
	d.Control = boundSilence
}
