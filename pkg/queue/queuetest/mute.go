package queuetest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// Mute is a server that is reached and answers nothing but that it is there, as one of
// a cluster of which most servers are away. It is the InProcess of a queue, and works
// on the clock of package synctest too.
type Mute struct{}

// InProcessConn returns a connection, which ends once it is closed.
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
