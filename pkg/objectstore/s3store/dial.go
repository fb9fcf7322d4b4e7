package s3store

import (
	"net"
	"time"
)

// How a dead connection is detected. A store may take minutes to respond, but its
// operating system acknowledges at once what it receives. A connection without these
// acknowledgements is dead, and the call is tried again on another one.
const (
	connectTimeout = 10 * time.Second
	deadAfter      = 30 * time.Second // without an acknowledgement, about

	probeAfter = 10 * time.Second // without a byte
	probeEvery = 5 * time.Second
	probes     = int((deadAfter - probeAfter) / probeEvery)
)

func dialer(d *net.Dialer) {
	d.Timeout = connectTimeout
	d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probes}
	d.Control = setUserTimeout
}
