package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/server"
)

// A client that asks first sends its body only if the server wants it.
func TestProxyAsksBeforeItSendsABody(t *testing.T) {
	p := newProxied(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}, nil)
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	defer client.CloseIdleConnections()
	for path, want := range map[string]string{"/refused": "403  not sent", "/": "200 1000000 sent"} {
		body := strings.NewReader(strings.Repeat("x", 1_000_000))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.url+path, body)
		expect.NoError(t, err)
		req.Header.Set("Expect", "100-continue")
		resp, err := client.Do(req)
		expect.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		expect.NoError(t, errors.Join(err, resp.Body.Close()))
		sent := "sent"
		if body.Len() == 1_000_000 {
			sent = "not sent"
		}
		if got := fmt.Sprint(resp.StatusCode, " ", string(text), " ", sent); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// toldLate is a transport that reads the body before it tells of the server's 100 Continue, as
// http.Transport does now and then.
type toldLate struct{}

func (toldLate) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	err := httptrace.ContextClientTrace(r.Context()).Got1xxResponse(http.StatusContinue, nil)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

// A client is told once that its body is wanted.
func TestProxyTellsToContinueOnce(t *testing.T) {
	p := newProxied(t, theirs, func(c *server.ProxyConfig) { c.Transport = toldLate{} })
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	expect.NoError(t, err)
	_, err = io.WriteString(conn, "PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
	expect.NoError(t, err)
	text, err := io.ReadAll(conn)
	expect.NoError(t, errors.Join(err, conn.Close()))
	if n := strings.Count(string(text), "100 Continue"); n != 1 {
		t.Errorf("it is told %d times: %s", n, text)
	}
}

// A request that is handed on reserves memory, until it is answered.
func TestProxyReservesMemory(t *testing.T) {
	var held, seen atomic.Int64
	p := newProxied(t, func(http.ResponseWriter, *http.Request) { seen.Store(held.Load()) }, func(c *server.ProxyConfig) {
		c.Memory = server.NewBudget(func(n int) { held.Add(int64(n)) })
	})
	get(t, http.MethodGet, p.url+"/")
	if seen.Load() < 64<<10 {
		t.Errorf("it reserves %d bytes", seen.Load())
	}
	expect.Eventually(t, "the memory is released", func() bool { return held.Load() == 0 })
}

// A request to the S3 gateway of the server names a bucket and a key, which may look like an import
// in a repository "api".
func TestProxyHandsOnWhatIsSignedForS3(t *testing.T) {
	p := newProxied(t, theirs, nil)
	for name, sign := range map[string]func(*http.Request){
		"ours":                 func(*http.Request) {},
		"ours, with Basic":     func(r *http.Request) { r.SetBasicAuth("AWS", "4") },
		"theirs, by SigV4":     func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k") },
		"theirs, by SigV2":     func(r *http.Request) { r.Header.Set("Authorization", "AWS k:s") },
		"theirs, by a header":  func(r *http.Request) { r.Header.Set("X-Amz-Signature", "s") },
		"theirs, presigned":    func(r *http.Request) { r.URL.RawQuery = "X-Amz-Credential=k&id=" + ourID },
		"theirs, presigned V2": func(r *http.Request) { r.URL.RawQuery = "AWSAccessKeyId=k&id=" + ourID },
	} {
		want, _, _ := strings.Cut(name, ",")
		for target, method := range map[string]string{
			importURL: http.MethodPost, importURL + "?id=" + ourID: http.MethodDelete, "/api/v1/imports": http.MethodGet,
			"/api/v1/repositories/repo/metaranges/m/verification": http.MethodGet,
		} {
			req, err := http.NewRequestWithContext(t.Context(), method, p.url+target, http.NoBody)
			expect.NoError(t, err)
			sign(req)
			resp, err := http.DefaultClient.Do(req)
			expect.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			expect.NoError(t, errors.Join(err, resp.Body.Close()))
			if got, _, _ := strings.Cut(string(text), " "); got != want {
				t.Errorf("%s %s, %s: answered by %s", method, target, name, text)
			}
		}
	}
}
