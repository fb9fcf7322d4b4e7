// Package httpget makes GET requests over HTTP/1.1, each in the goroutine that
// asks for it. Package net/http, which parses the responses here, too, sends
// requests from two goroutines a connection: what it takes to hand a request to
// them and the response back is half of all that a LIST call allocates.
package httpget

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Target is where a request is sent to.
type Target struct {
	Address string // host:port
	TLS     bool
}

// Client sends requests, and keeps connections for the next ones. It is safe for
// concurrent use. What is exported is set before its first use.
type Client struct {
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	TLS       *tls.Config   // to be cloned; nil is the default one
	Handshake time.Duration // time for TLS to get ready
	Kept      int           // unused connections are kept: so many,
	KeptFor   time.Duration // and so long
	MaxBytes  int           // of a response, with its head; more is an error

	mu     sync.Mutex
	unused []*conn     // that unused longest first
	expiry *time.Timer // nil if none are
}

const (
	maxInterim = 8        // responses of status 1xx before another
	readBuffer = 32 << 10 // bytes that are read at once: bodies are sent in many small chunks
)

var errTooLong = errors.New("the response is too long")

// Get sends a request as it is, a GET without a body, and calls read with the
// response, whose Body ends with an error if it was cut short. After an error of
// read, and wherever the response was not read to its end, the connection is
// closed. When ctx ends, Get does.
//
// A server may close a kept connection at any moment. If it has by the time that
// the request is sent, which is noticed when no response begins, the request is
// sent again, once, on a new connection.
func (c *Client) Get(ctx context.Context, to Target, request []byte, read func(*http.Response) error) error {
	if kept := c.take(to); kept != nil {
		err := c.use(ctx, kept, request, read)
		if err == nil || ctx.Err() != nil || !errors.As(err, &noResponse{}) {
			return err
		}
	}
	fresh, err := c.connect(ctx, to)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", to.Address, err)
	}
	return c.use(ctx, fresh, request, read)
}

// connect returns a new connection.
func (c *Client) connect(ctx context.Context, to Target) (*conn, error) {
	stream, err := c.Dial(ctx, "tcp", to.Address)
	if err != nil {
		return nil, err
	}
	if to.TLS {
		secure, err := c.secure(ctx, stream, to)
		if err != nil {
			_ = stream.Close()
			return nil, err
		}
		stream = secure
	}
	k := &conn{Conn: stream, to: to, limit: c.MaxBytes}
	k.buf = bufio.NewReaderSize(k, readBuffer)
	k.abort = func() { _ = stream.SetDeadline(time.Unix(1, 0)) }
	return k, nil
}

func (c *Client) secure(ctx context.Context, stream net.Conn, to Target) (net.Conn, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		cfg = c.TLS.Clone()
	}
	cfg.NextProtos = []string{"http/1.1"}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(to.Address)
		if err != nil {
			return nil, err
		}
		cfg.ServerName = host
	}
	ctx, cancel := context.WithTimeout(ctx, c.Handshake)
	defer cancel()
	secure := tls.Client(stream, cfg)
	return secure, secure.HandshakeContext(ctx)
}

// use sends a request on a connection, and keeps it or closes it.
func (c *Client) use(ctx context.Context, k *conn, request []byte, read func(*http.Response) error) error {
	stop := context.AfterFunc(ctx, k.abort)
	again, err := k.exchange(request, read)
	if !stop() || !again || !c.keep(k) {
		_ = k.Close()
	}
	return err
}

// conn is a connection.
type conn struct {
	net.Conn
	to    Target
	buf   *bufio.Reader // of what comes
	limit int           // bytes that a response may have
	left  int           // of those
	abort func()        // ends all reading and writing
	since time.Time     // it is unused since
	probe [1]byte       // scratch
}

// Read implements io.Reader with the limit of a response.
func (k *conn) Read(p []byte) (int, error) {
	if k.left == 0 {
		return 0, errTooLong
	}
	n, err := k.Conn.Read(p[:min(len(p), k.left)])
	k.left -= n
	return n, err
}

// noResponse is an error that came before anything else did.
type noResponse struct{ error }

func (e noResponse) Unwrap() error { return e.error }

// exchange sends a request and has the response read; again says that the
// connection is good for another one.
func (k *conn) exchange(request []byte, read func(*http.Response) error) (again bool, err error) {
	k.left = k.limit
	if _, err := k.Write(request); err != nil {
		return false, noResponse{fmt.Errorf("send the request: %w", err)}
	}
	if _, err := k.buf.Peek(1); err != nil {
		return false, noResponse{fmt.Errorf("await the response: %w", err)}
	}
	var response *http.Response
	for interim := 0; response == nil || response.StatusCode < http.StatusOK; interim++ {
		if interim > maxInterim {
			return false, fmt.Errorf("%d responses before the last one", interim)
		}
		response, err = http.ReadResponse(k.buf, nil) //nolint:bodyclose // its connection is closed unless the body was read to its end
		if err != nil {
			return false, fmt.Errorf("read the head of the response: %w", err)
		}
	}
	if err := read(response); err != nil {
		return false, err
	}
	_, err = response.Body.Read(k.probe[:])
	return errors.Is(err, io.EOF) && !response.Close && k.buf.Buffered() == 0, nil
}
