package queuetest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// greeting is what a server of this name sends first.
const greeting = `INFO {"server_id":"%s","version":"2.15.1","headers":true,"max_payload":1048576}` + "\r\n"

// Door is a server that speaks enough of NATS to be connected to, or refuses all
// clients. Its methods may be called concurrently.
type Door struct {
	URL     string
	refusal atomic.Value // string; "" while it is open
	refused atomic.Int64
}

// OpenDoor returns a door that is open. It is closed with the test.
func OpenDoor(t testing.TB) *Door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := &Door{URL: "nats://" + l.Addr().String()}
	d.Open()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
	return d
}

// Open accepts clients.
func (d *Door) Open() { d.refusal.Store("") }

// Shut refuses clients with an error of the protocol: new ones at once, and connected
// ones when they send something.
func (d *Door) Shut(refusal string) { d.refusal.Store(refusal) }

// Refused returns how often a client was refused.
func (d *Door) Refused() int64 { return d.refused.Load() }

func (d *Door) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the client sees it
	fmt.Fprintf(conn, greeting, "door")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch refusal := d.refusal.Load().(string); {
		case refusal != "":
			d.refused.Add(1)
			fmt.Fprintf(conn, "-ERR '%s'\r\n", refusal)
			return
		case strings.HasPrefix(lines.Text(), "PING"):
			fmt.Fprint(conn, "PONG\r\n")
		}
	}
}
