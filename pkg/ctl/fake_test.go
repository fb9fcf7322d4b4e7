package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/generated"
)

// cutOff is the answer of a coordinator that cannot be reached.
const cutOff = "cut off"

// coordinator is a fake: it answers "METHOD URI" with the next of its scripted
// answers, the last one again and again. An answer is "STATUS body".
type coordinator struct {
	*httptest.Server
	mu       sync.Mutex
	script   map[string][]string
	requests []string
}

// seen is the requests so far.
func (c *coordinator) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

func newCoordinator(t *testing.T, script map[string][]string) *coordinator {
	t.Helper()
	c := &coordinator{script: script}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *coordinator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	what := r.Method + " " + strings.TrimPrefix(r.RequestURI, "/api/v1")
	user, password, _ := r.BasicAuth()
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		user, password = "token", token
	}
	seen := strings.TrimSpace(fmt.Sprintf("%s %s", what, body))
	if user != "AK" || password != "SK" {
		seen += " as " + user + ":" + password
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, seen)
	answers, ok := c.script[what]
	if !ok {
		answers = []string{`404 {"message":"not found"}`}
	}
	if len(answers) > 1 {
		c.script[what] = answers[1:]
	}
	if answers[0] == cutOff {
		panic(http.ErrAbortHandler)
	}
	var status int
	if _, err := fmt.Sscan(answers[0], &status); err != nil {
		panic(err)
	}
	_, text, _ := strings.Cut(answers[0], " ")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// machine is a fake System whose clock moves only by sleeping.
type machine struct {
	env      map[string]string
	in       string
	width    int
	now      time.Time
	out, err bytes.Buffer
	slept    int
	onSleep  func(n int) // called before the nth sleep
	awaited  int
	onAwait  func(n int) bool // reports whether what is awaited the nth time does not come in time
}

func newMachine(t *testing.T, c *coordinator) *machine {
	t.Helper()
	return &machine{
		now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		env: map[string]string{
			"RANGECTL_ENDPOINT": c.URL, "RANGECTL_ACCESS_KEY_ID": "AK", "RANGECTL_SECRET_ACCESS_KEY": "SK",
			"RANGECTL_CONFIG": filepath.Join(t.TempDir(), "rangectl.yaml"), "NO_COLOR": "1",
		},
	}
}

func (m *machine) system() System {
	in := strings.NewReader(m.in)
	return System{
		In: in, Out: &m.out, Err: &m.err,
		Getenv: func(name string) string { return m.env[name] },
		Environ: func() (all []string) {
			for name, value := range m.env {
				all = append(all, name+"="+value)
			}
			return all
		},
		Width:      func() int { return m.width },
		ReadSecret: func() (string, error) { return readLine(in) },
		Now:        func() time.Time { return m.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			m.slept++
			if m.slept > 10_000 {
				return errors.New("the command sleeps for ever")
			}
			if m.onSleep != nil {
				m.onSleep(m.slept)
			}
			m.now = m.now.Add(d)
			return ctx.Err()
		},
		// Time does not pass while an answer is waited for, except by onAwait.
		Await: func(done <-chan struct{}, most time.Duration) bool {
			m.awaited++
			if m.onAwait != nil && m.onAwait(m.awaited) {
				m.now = m.now.Add(most)
				return false
			}
			<-done
			return true
		},
		// A kept connection that is cut off would be tried again below the client.
		Transport: &http.Transport{DisableKeepAlives: true},
	}
}

// transcript is all that a run showed and did, less what differs between runs.
func (m *machine) transcript(c *coordinator, code ExitCode, args ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ rangectl %s\n%s", strings.Join(args, " "), m.out.String())
	if m.err.Len() > 0 {
		fmt.Fprintf(&b, "--- stderr\n%s", m.err.String())
	}
	fmt.Fprintf(&b, "--- exit %d\n", code)
	for _, r := range slices.Compact(c.seen()) {
		fmt.Fprintf(&b, "%s\n", r)
	}
	text := strings.ReplaceAll(b.String(), c.URL, "http://coordinator")
	return strings.ReplaceAll(text, m.env["RANGECTL_CONFIG"], "$CONFIG")
}

// golden compares text with testdata/name.
func golden(t *testing.T, name, text string) {
	t.Helper()
	generated.File(t, filepath.Join("testdata", name), text)
}
