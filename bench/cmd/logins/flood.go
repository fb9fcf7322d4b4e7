package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"
)

// The program of this command sends wrong logins until it is killed, if its arguments are
// floodCommand, the URL of a coordinator and a kind of guesses.
const floodProgram, floodCommand = "logins", "flood"

// floodConnections is the number of connections over which guesses are sent.
const floodConnections = 400

// guesses return the requests that a flood sends, by their kind.
var guesses = map[string]func(host string, i int) string{
	"access keys": func(host string, i int) string {
		pair := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "RF%018d:%032d", i, i))
		return get(host, "Authorization: Basic "+pair)
	},
	"tokens": func(host string, i int) string {
		encode := base64.RawURLEncoding.EncodeToString
		payload := encode(fmt.Appendf(nil, `{"iss":"rangefleet","aud":"login","sub":"admin","jti":"%d","exp":4102444800}`, i))
		return get(host, "Authorization: Bearer "+encode([]byte(`{"alg":"HS256","kid":"x"}`))+"."+payload+"."+encode(make([]byte, 32)))
	},
	"cookies": func(host string, i int) string {
		return get(host, "Cookie: internal_auth_session="+base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%0100d", i)))
	},
	"logins": func(host string, i int) string {
		body := fmt.Sprintf(`{"access_key_id":"RF%018d","secret_access_key":"%032d"}`, i, i)
		return fmt.Sprintf("POST /api/v1/auth/login HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", host, len(body), body)
	},
}

func get(host, header string) string {
	return "GET /api/v1/user HTTP/1.1\r\nHost: " + host + "\r\n" + header + "\r\n\r\n"
}

// flood sends guesses over all connections, each as soon as the one before is answered. It uses
// one core.
func flood(ctx context.Context, target, kind string) error {
	runtime.GOMAXPROCS(1)
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	guess := guesses[kind]
	if guess == nil {
		return fmt.Errorf("no guesses of %q", kind)
	}
	failed := make(chan error, floodConnections)
	begin := int(time.Now().UnixMilli()) * floodConnections // so that no guess is made twice
	var all sync.WaitGroup
	for c := range floodConnections {
		all.Go(func() { failed <- send(ctx, u.Host, begin+c, guess) })
	}
	all.Wait()
	return <-failed
}

// send sends every floodConnections-th guess over a connection, from the first one on.
func send(ctx context.Context, host string, first int, guess func(host string, i int) string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the flood is over
	reader := bufio.NewReader(conn)
	for i := first; ctx.Err() == nil; i += floodConnections {
		if _, err := io.Copy(conn, strings.NewReader(guess(host, i))); err != nil {
			return err
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusTooManyRequests {
			return fmt.Errorf("a guess was answered %s", resp.Status)
		}
	}
	return ctx.Err()
}
