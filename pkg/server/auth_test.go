package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rangefleet/rangefleet/internal/measured"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
)

// login sends a request from an address, and returns how long the answer took.
func (f *fixture) login(address, secret string, header http.Header) (code int, retryAfter string, took time.Duration) {
	h := http.Header{"Authorization": {basic(testKey, secret)}}
	for k, v := range header {
		h[k] = v
	}
	begun := time.Now()
	w := f.from(address, "GET", "/api/v1/repositories", "", h)
	return w.Code, w.Header().Get("Retry-After"), time.Since(begun)
}

// Of a thousand wrong logins from one address few are checked. All are answered 401 or 429,
// and other addresses do not wait.
func TestAFloodOfLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bad, good = "192.0.2.1:1", "192.0.2.2:1"
		f := newFixture(t, func(c *Config) { c.Now = time.Now })
		for range 10 { // until answers are delayed
			if code, _, _ := f.login(bad, "wrong", nil); code != http.StatusUnauthorized {
				t.Fatalf("a wrong login: %d", code)
			}
		}
		answers := make(chan int, 1000)
		for i := range 1000 {
			go func() {
				code, retry, _ := f.login(bad, fmt.Sprint("guess", i), nil)
				if (retry == fmt.Sprint(auth.LoginRetryAfter.Seconds())) != (code == http.StatusTooManyRequests) {
					t.Errorf("%d with Retry-After %q", code, retry)
				}
				answers <- code
			}()
		}
		synctest.Wait()
		if code, _, took := f.login(good, testSecret, nil); code != http.StatusOK || took != 0 {
			t.Errorf("another address: %d after %v", code, took)
		}
		got := map[int]int{}
		for range 1000 {
			got[<-answers]++
		}
		if got[http.StatusUnauthorized] != 4 || got[http.StatusTooManyRequests] != 996 {
			t.Errorf("answers %v", got)
		}
		if code, _, took := f.login(bad, testSecret, nil); code != http.StatusOK || took != 0 {
			t.Errorf("the right secret after the flood: %d after %v", code, took)
		}
		for outcome, want := range map[string]float64{"wrong": 14, "refused": 996} {
			if n := measured.Sum(t, f.metrics, "rangefleet_http_failed_logins_total", outcome); n != want {
				t.Errorf("%v logins are counted as %s, want %v", n, outcome, want)
			}
		}
	})
}

// X-Forwarded-For is only trusted behind a proxy.
func TestLoginsBehindAProxy(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, func(c *Config) {
				if c.Now = time.Now; trusted {
					c.Proxies = Proxies{netip.MustParsePrefix("10.0.0.0/8")}
				}
			})
			for i := range 20 {
				from := http.Header{"X-Forwarded-For": {fmt.Sprintf("198.51.100.%d", i)}}
				if _, _, took := f.login("10.0.0.1:1", "wrong", from); (took > 0) != (!trusted && i >= 5) {
					t.Errorf("trusted %t: failure %d took %v", trusted, i+1, took)
				}
			}
		})
	}
}

// The log names the client and the key of a failed login, and never contains the secret.
func TestFailedLoginsAreLogged(t *testing.T) {
	f := newHousehold(t)
	f.do("GET", "/api/v1/repositories", "", http.Header{"Authorization": {basic(f.key["ann"], "hunter2")}})
	log := f.log.String()
	for _, part := range []string{`"msg":"login failed"`, `"client":"192.0.2.1"`, `"scheme":"basic_auth"`, `"access_key_id":"` + f.key["ann"] + `"`, `"request_id":"fresh-id"`} {
		if !strings.Contains(log, part) {
			t.Errorf("the log lacks %s: %s", part, log)
		}
	}
	if strings.Contains(log, "hunter2") {
		t.Errorf("the log has the secret: %s", log)
	}
	f.do("GET", "/api/v1/repositories", "", http.Header{"Authorization": {basic("misplaced", "hunter2")}})
	if strings.Contains(f.log.String(), "misplaced") {
		t.Error("the log has what may be a secret")
	}
	before := len(f.log.String())
	f.do("GET", "/api/v1/repositories", "", f.login["ann"])
	if strings.Contains(f.log.String()[before:], "login failed") {
		t.Error("a login that succeeded is logged as failed")
	}
}

// awayUntil is an authenticator whose users cannot be read for a while.
type awayUntil struct {
	oneUser
	back time.Time
}

func (a awayUntil) Authenticate(ctx context.Context, p auth.Presented) (access.Caller, error) {
	if time.Now().Before(a.back) {
		return access.Caller{}, errors.New("NATS is out of reach")
	}
	return a.oneUser.Authenticate(ctx, p)
}

// A login waits for a short outage to end, like anything else.
func TestLoginsWaitForTheServiceToBeReady(t *testing.T) {
	for away, want := range map[time.Duration]int{3 * time.Second: http.StatusOK, time.Hour: http.StatusServiceUnavailable} {
		synctest.Test(t, func(t *testing.T) {
			a := awayUntil{back: time.Now().Add(away)}
			f := newFixture(t, func(c *Config) {
				c.Auth = a
				c.Ready = func(ctx context.Context) error {
					if _, err := a.Authenticate(ctx, auth.Presented{}); !errors.Is(err, auth.ErrUnauthenticated) {
						return err
					}
					return nil
				}
			})
			code, _, took := f.login("192.0.2.1:1", testSecret, nil)
			if code != want || took != min(away, maxWait) {
				t.Errorf("away for %v: %d after %v", away, code, took)
			}
		})
	}
}
