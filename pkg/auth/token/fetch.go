package token

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/limits"
)

// fetcher returns a function that reads a key set from where it is: at most limits.KeySet bytes.
func fetcher(from string, transport http.RoundTripper) (func(context.Context) ([]byte, error), error) {
	if !strings.Contains(from, "://") {
		if from == "" {
			return nil, fmt.Errorf("want the URL or the file of the issuer's keys")
		}
		return func(context.Context) ([]byte, error) { return readFile(from) }, nil
	}
	u, err := url.Parse(from)
	if err != nil {
		return nil, fmt.Errorf("the URL of the issuer's keys: %w", err)
	}
	if u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !local(u.Hostname())) {
		return nil, fmt.Errorf("the URL of the issuer's keys: want https://, without user and password")
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) ([]byte, error) { return get(ctx, client, from) }, nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func get(ctx context.Context, client *http.Client, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", from, resp.StatusCode)
	}
	return readAll(resp.Body)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limits.KeySet+1))
	if err == nil && len(text) > limits.KeySet {
		err = fmt.Errorf("a key set of more than %d bytes", limits.KeySet)
	}
	return text, err
}
