package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

func TestUnreachable(t *testing.T) {
	get := func(err error) error { return &url.Error{Op: "Get", URL: "http://h/api/v1/x", Err: err} }
	dial := func(err error) error { return get(&net.OpError{Op: "dial", Net: "tcp", Err: err}) }
	for _, c := range []struct {
		err     error
		want    string
		refused bool
	}{
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), "no coordinator answers at http://h: connection refused", true},
		{dial(&net.DNSError{Err: "no such host", Name: "h"}), "no coordinator answers at http://h: no such host", true},
		{get(context.DeadlineExceeded), "no coordinator answers at http://h: no answer in time", false},
		{get(errors.New("EOF")), "no coordinator answers at http://h: EOF", false},
		{get(http.ErrSchemeMismatch), "http://h: http: server gave HTTP response to HTTPS client", false},
	} {
		e := &Unreachable{Endpoint: "http://h", Err: c.err}
		if e.Error() != c.want || Refused(e) != c.refused {
			t.Errorf("%v: %q, refused %v, want %q, %v", c.err, e, Refused(e), c.want, c.refused)
		}
	}
}

// A call was not received if no connection was made for any of its attempts. That nothing is
// known of an earlier attempt counts, too.
func TestUnsent(t *testing.T) {
	for name, c := range map[string]struct {
		answers []answer
		unsent  bool
	}{
		"never connected":               {nil, true},
		"cut off, then never connected": {[]answer{{}}, false},
		"one too many, then never":      {[]answer{{status: 429}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := serve(t, c.answers...)
			tries := 0
			client.config.Sleep = func(context.Context, time.Duration) error {
				if tries++; tries == len(c.answers) {
					s.Close()
				}
				return nil
			}
			if len(c.answers) == 0 {
				s.Close()
			}
			_, err := client.StartImport(t.Context(), "r", "b", api.ImportPathsCreation{})
			silent, ok := errors.AsType[*Unreachable](err)
			if !ok || silent.Unsent != c.unsent || silent.Endpoint != s.URL || strings.Contains(err.Error(), "Post") {
				t.Errorf("%v, unsent %v, want %v", err, ok && silent.Unsent, c.unsent)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "86400": time.Minute, "soon": 0} {
		_, c := serve(t, answer{status: 503, retryAfter: header})
		c.config.Attempts = 1
		_, err := c.Repository(t.Context(), "r")
		if got := RetryAfter(err); got != want {
			t.Errorf("Retry-After %q: %v, want %v", header, got, want)
		}
	}
	if RetryAfter(errors.New("other")) != 0 || RetryAfter(nil) != 0 {
		t.Error("errors without an answer ask for a pause")
	}
}
