// Package exchange sends requests as they are written, also those that no client makes, and
// reads the answers.
package exchange

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// within bounds an exchange on a busy machine.
const within = time.Minute

// Conn is a connection to a server, which is made again when an answer ended it. It must not
// be used concurrently.
type Conn struct {
	address string
	conn    net.Conn // nil: none is open
	answers *bufio.Reader
}

// Dial returns a connection to the server at an address. It is made by the first request.
func Dial(address string) *Conn { return &Conn{address: address} }

// Close closes the connection.
func (c *Conn) Close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// Answer is an answer that was read to its end.
type Answer struct {
	Status  int
	Header  http.Header
	Trailer http.Header
	Length  int64 // that the header says; -1: none
	Body    string

	Continued bool // the server wanted the body of a request that asked first
}

// Do sends a request, whose method is given because the end of an answer depends on it, and
// returns the final answer.
func (c *Conn) Do(ctx context.Context, method, request string) (a Answer, err error) {
	if c.conn == nil {
		if c.conn, err = (&net.Dialer{Timeout: within}).DialContext(ctx, "tcp", c.address); err != nil {
			return a, err
		}
		c.answers = bufio.NewReader(c.conn)
	}
	a, last, err := c.exchange(method, request)
	if err != nil || last {
		_ = c.Close()
	}
	return a, err
}

// exchange sends a request and reads its answer. It reports whether that was the connection's
// last one.
func (c *Conn) exchange(method, request string) (a Answer, last bool, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(within)); err != nil {
		return a, true, err
	}
	if !strings.Contains(request, "\r\nExpect: 100-continue\r\n") {
		return c.send(method, request)
	}
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	if a, _, err = c.send(method, head+"\r\n\r\n"); err != nil || a.Status != http.StatusContinue {
		return a, true, err // the server waits for the body
	}
	a, last, err = c.send(method, body)
	a.Continued = true
	return a, last, err
}

// send sends a part of a request, and reads an answer.
func (c *Conn) send(method, text string) (a Answer, last bool, err error) {
	// A server may answer, and end the connection, before it has read all.
	go func() { _, _ = io.WriteString(c.conn, text) }()
	resp, err := http.ReadResponse(c.answers, &http.Request{Method: method})
	if err != nil {
		return a, true, fmt.Errorf("read the answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := content(resp)
	return Answer{Status: resp.StatusCode, Header: resp.Header, Trailer: resp.Trailer, Length: resp.ContentLength, Body: body}, resp.Close, err
}

// content reads the body of an answer, as a client sees it that unpacks it.
func content(resp *http.Response) (string, error) {
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" || len(body) == 0 {
		return string(body), err
	}
	unpacked, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(unpacked)
	return string(text), err
}
