package queuetest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// Mute is a server that answers pings and nothing else, as one does that has lost the
// majority of its cluster. It is an InProcess of natsconn.Config, and works on the clock
// of package synctest too.
type Mute struct{}

// InProcessConn returns a connection, which ends when the client closes it.
func (Mute) InProcessConn() (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }() // the client sees it
		fmt.Fprintf(server, greeting, "mute")
		for lines := bufio.NewScanner(server); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "PING") {
				fmt.Fprint(server, "PONG\r\n")
			}
		}
	}()
	return client, nil
}
