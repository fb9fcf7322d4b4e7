package s3store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
)

// raw is a server of raw bytes. Each connection takes the next script, answers one
// request with each string of it, and then ends.
type raw struct {
	mu       sync.Mutex
	scripts  [][]string
	requests []*http.Request
}

// serveRaw starts a server of the scripts, and returns its URL.
func serveRaw(t *testing.T, scripts ...[]string) (*raw, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	s := &raw{scripts: scripts}
	var connections sync.WaitGroup
	t.Cleanup(connections.Wait)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = listener.Close() })
	connections.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				s.answer(c)
			})
		}
	})
	return s, "http://" + listener.Addr().String()
}

func (s *raw) answer(c net.Conn) {
	defer func() { _ = c.Close() }()
	s.mu.Lock()
	var script []string
	if len(s.scripts) > 0 {
		script, s.scripts = s.scripts[0], s.scripts[1:]
	}
	s.mu.Unlock()
	in := bufio.NewReader(c)
	for _, answer := range script {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.requests = append(s.requests, r)
		s.mu.Unlock()
		_, _ = io.WriteString(c, answer)
	}
}

// whole returns an answer with a body.
func whole(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// TestDirectAnswers requests a page directly, on the connection of the page before,
// and gets answers of every form. What was cut short is not taken for a page, and can
// be requested again.
func TestDirectAnswers(t *testing.T) {
	page := result(false, "", "a")
	chunks := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(page), page)
	const redirect = "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
	for _, tc := range []struct {
		name    string
		answers []string
		refused error // nil: transient, if it is an error
		good    bool
	}{
		{"with a length", []string{whole(page)}, nil, true},
		{"in chunks", []string{chunks + "0\r\n\r\n"}, nil, true},
		{"after interim responses", []string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(page)}, nil, true},
		{"without a length", []string{"HTTP/1.1 200 OK\r\n\r\n" + page}, nil, true},
		{"with more behind it", []string{whole(page) + "HTTP/1.1 408 Request Timeout\r\n\r\n"}, nil, true},
		{"a connection that has ended", nil, nil, true},
		{"cut in the status", []string{"HTTP/1"}, nil, false},
		{"cut in the head", []string{"HTTP/1.1 200 OK\r\nContent-Le"}, nil, false},
		{"cut in the body", []string{strings.TrimSuffix(whole(page), ">")}, nil, false},
		{"cut between chunks", []string{chunks}, nil, false},
		{"no HTTP", []string{"220 smtp ready\r\n"}, nil, false},
		{"an endless head", []string{"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1<<18)}, nil, false},
		{"an endless body", []string{"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 9<<20)}, objectstore.ErrBadListing, false},
		{"a redirect", []string{redirect, redirect}, objectstore.ErrSettings, false}, // the SDK asks again
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, url := serveRaw(t, append([]string{whole(result(false, ""))}, tc.answers...), []string{whole(page)})
			store := open(t, url, "bucket", nil)
			keys, err := listPages(t, store, "", "")
			if good := err == nil && slices.Equal(keys, []string{"a"}); good != tc.good || !good && len(keys) > 0 {
				t.Errorf("listed %q, %v", keys, err)
			}
			if !tc.good && tc.refused == nil {
				if objectstore.Permanent(err) {
					t.Errorf("%v, which is final", err)
				}
				if _, err = store.(objectstore.Pager).ListPage(t.Context(), "", "", func(page []objectstore.Listed) { keys = append(keys, string(page[0].Key)) }); err != nil || len(keys) != 1 {
					t.Errorf("then listed %q, %v", keys, err)
				}
			}
			if tc.refused != nil && !errors.Is(err, tc.refused) {
				t.Errorf("%v, want %v", err, tc.refused)
			}
		})
	}
}

// TestDirectHeaders checks the headers of a page that is requested directly.
func TestDirectHeaders(t *testing.T) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"} {
		t.Setenv(name, value)
	}
	s, url := serveRaw(t, []string{whole(result(false, "")), whole(result(false, "", "a"))})
	store := open(t, url, "bucket", func(c *s3store.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" })
	if _, err := listPages(t, store, "", ""); err != nil {
		t.Fatal(err)
	}
	sent := s.requests[1].Header
	if signed := sent.Get("Authorization"); !strings.Contains(signed, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,") {
		t.Errorf("Authorization: %s", signed)
	}
	for _, name := range []string{"Authorization", "X-Amz-Date"} {
		sent.Del(name)
	}
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	want := http.Header{"User-Agent": {"rangefleet"}, "X-Amz-Content-Sha256": {emptyHash}, "X-Amz-Security-Token": {"token"}}
	if fmt.Sprint(sent) != fmt.Sprint(want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
}
