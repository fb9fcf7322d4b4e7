package proxy_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/test/chaos/proxy"
)

// echo starts a server that echoes each line, and returns its address and a channel of the
// lines that it has received.
func echo(t *testing.T) (address string, told <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	lines := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for in := bufio.NewReader(c); ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					lines <- line
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), lines
}

// dial returns a link to an echo server, and a connection to the link.
func dial(t *testing.T) (l *proxy.Link, told <-chan string, c net.Conn, said <-chan string) {
	t.Helper()
	address, told := echo(t)
	l, err := proxy.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	c, err = net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewReader(c); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	return l, told, c, lines
}

func say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, lines <-chan string, line string) {
	t.Helper()
	select {
	case got := <-lines:
		if got != line+"\n" {
			t.Fatalf("received %.20q, want %.20q", got, line)
		}
	case <-time.After(time.Minute):
		t.Fatalf("did not receive %.20q", line)
	}
}

func TestALinkPassesOn(t *testing.T) {
	_, told, c, said := dial(t)
	long := strings.Repeat("x", 100<<10)
	for _, line := range []string{"hello", long, ""} {
		say(t, c, line)
		want(t, told, line)
		want(t, said, line)
	}
}

// Held bytes arrive in order after they are released. Meanwhile, bytes of the other direction
// arrive.
func TestHolding(t *testing.T) {
	l, told, c, said := dial(t)
	l.Set(proxy.State{HoldOut: true})
	say(t, c, "one")
	want(t, told, "one")
	l.Set(proxy.State{HoldIn: true})
	want(t, said, "one")
	say(t, c, "two")
	say(t, c, "three")
	if len(told) != 0 {
		t.Fatal("held bytes reached the target")
	}
	l.Set(proxy.State{})
	want(t, told, "two")
	want(t, said, "two")
	want(t, told, "three")
}

// A chunk that is being sent slowly is sent at once when the rate is lifted.
func TestRateLimitsCanBeLifted(t *testing.T) {
	l, _, c, said := dial(t)
	l.Set(proxy.State{Rate: 1})
	say(t, c, strings.Repeat("x", 10_000))
	l.Set(proxy.State{Delay: time.Millisecond})
	want(t, said, strings.Repeat("x", 10_000))
}

func TestResetAndRefuse(t *testing.T) {
	l, told, c, said := dial(t)
	say(t, c, "hello")
	want(t, told, "hello")
	want(t, said, "hello")
	l.Set(proxy.State{Refuse: true})
	l.Reset()
	if line, open := <-said; open {
		t.Fatalf("received %q on a connection that was reset", line)
	}
	again, err := net.Dial("tcp", l.Addr())
	if err == nil {
		defer func() { _ = again.Close() }()
		if _, err = again.Read(make([]byte, 1)); err == nil {
			t.Fatal("a refused connection was answered")
		}
	}
	l.Set(proxy.State{})
	third, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	say(t, third, "hello")
	want(t, told, "hello")
}
