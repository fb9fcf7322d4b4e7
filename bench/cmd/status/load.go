package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// poller asks a server again and again over one connection. It costs less than a client of
// net/http, since it shares the cores with the server.
type poller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

// crowd is a number of pollers of one server.
type crowd []*poller

// gather opens the connections of a crowd that sends a request. The caller closes it.
func gather(ctx context.Context, address string, n int, request []byte) (c crowd, err error) {
	for range n {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return c, errors.Join(fmt.Errorf("connect: %w", err), c.Close())
		}
		c = append(c, &poller{conn, bufio.NewReader(conn), request})
	}
	return c, nil
}

// Close closes the connections.
func (c crowd) Close() error {
	var errs []error
	for _, p := range c {
		errs = append(errs, p.conn.Close())
	}
	return errors.Join(errs...)
}

// Tally is what a crowd was answered.
type Tally struct {
	Answered int64         `json:"answered"` // with 200
	Refused  int64         `json:"refused"`  // with anything else
	Wall     time.Duration `json:"wall_ns"`
	Longest  time.Duration `json:"longest_ns"` // that an answer took
}

// add adds the answers of others during the same time.
func (t *Tally) add(other Tally) {
	t.Answered += other.Answered
	t.Refused += other.Refused
	t.Longest = max(t.Longest, other.Longest)
}

// ask lets all pollers ask for some time, each as soon as it is answered. It returns one of their
// errors.
func (c crowd) ask(within time.Duration) (all Tally, err error) {
	begun := time.Now()
	var mu sync.Mutex
	var pollers sync.WaitGroup
	for _, p := range c {
		pollers.Go(func() {
			t, failed := p.ask(begun.Add(within))
			mu.Lock()
			defer mu.Unlock()
			all.add(t)
			if err == nil {
				err = failed
			}
		})
	}
	pollers.Wait()
	all.Wall = time.Since(begun)
	return all, err
}

func (p *poller) ask(until time.Time) (t Tally, err error) {
	for begun := time.Now(); begun.Before(until); {
		code, err := p.once()
		if err != nil {
			return t, err
		}
		if code == http.StatusOK {
			t.Answered++
		} else {
			t.Refused++
		}
		now := time.Now()
		t.Longest = max(t.Longest, now.Sub(begun))
		begun = now
	}
	return t, nil
}

func (p *poller) once() (code int, err error) {
	if _, err := p.conn.Write(p.request); err != nil {
		return 0, fmt.Errorf("ask: %w", err)
	}
	resp, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		return 0, fmt.Errorf("read the answer: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}
