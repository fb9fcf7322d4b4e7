// Package faultproxy is a reverse proxy before a server, for tests of what clients do when
// calls fail: it loses answers, refuses calls, answers instead of the server, and runs
// functions of the test before and after a call.
package faultproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// Proxy is a running proxy. Calls that no rule is for pass unchanged, with their Host. Methods
// may be called concurrently.
type Proxy struct {
	URL string // without a path

	reverse *httputil.ReverseProxy

	mu    sync.Mutex
	rules []*Rule
	calls []*call
}

// Rule says what happens to some calls. Of the rules for a call only the first applies, but
// every one counts it.
type Rule struct {
	Method string         // "": any
	Path   *regexp.Regexp // finds something in the path as it was sent; nil: any
	Nth    int            // only the nth call that Method and Path are for, from 1; 0: each

	// Before runs before the server gets the call, and After once the server has answered,
	// before the client sees anything of it. The call waits for them.
	Before func()
	After  func()

	// Status, if not 0, is answered instead of the server, with the Message as JSON. After
	// does not run.
	Status  int
	Message string

	Refuse bool // the connection breaks before the server gets the call
	Lose   bool // the connection breaks after the server has executed the call: its answer is lost

	seen int
}

// Hold returns a function for a rule, which signals reached and returns once release is
// called. Release may be called again.
func Hold() (hold func(), reached <-chan struct{}, release func()) {
	arrived, released := make(chan struct{}), make(chan struct{})
	var first, last sync.Once
	hold = func() {
		first.Do(func() { close(arrived) })
		<-released
	}
	return hold, arrived, func() { last.Do(func() { close(released) }) }
}

// Call is a call that arrived at the proxy.
type Call struct {
	Method string
	Path   string // as it was sent, with the query
	Body   string // its first bytes
	Status int    // as the server, or the proxy instead of it, answered; 0: not yet, or never
	Answer string // the first bytes of the answer's body
	Passed bool   // the server got the call
	Lost   bool   // the client did not get the answer
}

// kept bounds the bytes of bodies that are kept.
const kept = 64 << 10

// Start starts a proxy before the server at a URL without a path. It ends with t, which must
// have released all calls by then.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := new(Proxy)
	p.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // signatures of S3 hold for it
		},
		// Each call has a connection of its own: net/http repeats some whose connection breaks.
		Transport:      &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		FlushInterval:  -1,
		ModifyResponse: answered,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // the connection breaks
	}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// Add adds rules, which apply from now on. A rule belongs to one proxy.
func (p *Proxy) Add(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rules {
		p.rules = append(p.rules, &r)
	}
}

// Reset drops all rules and forgets all calls.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.calls = nil, nil
}

// Calls returns the calls that have arrived, in their order, for which Method and Path of the
// rule are; its other fields mean nothing.
func (p *Proxy) Calls(r Rule) (calls []Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if c := c.get(); r.matches(c.Method, c.Path) {
			calls = append(calls, c)
		}
	}
	return calls
}

func (r *Rule) matches(method, path string) bool {
	return (r.Method == "" || r.Method == method) && (r.Path == nil || r.Path.MatchString(path))
}

// ruleFor returns the rule that applies to a call, an empty one if there is none.
func (p *Proxy) ruleFor(method, path string) Rule {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found Rule
	for _, r := range slices.Backward(p.rules) {
		if !r.matches(method, path) {
			continue
		}
		if r.seen++; r.Nth == 0 || r.Nth == r.seen {
			found = *r
		}
	}
	return found
}

// call is a Call while it is served, and what is done to it.
type call struct {
	rule Rule

	mu sync.Mutex
	Call
}

func (c *call) get() Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Call
}

func (c *call) set(change func(*Call)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.Call)
}

type callKey struct{}

// ServeHTTP serves one call.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.RequestURI()
	c := &call{rule: p.ruleFor(r.Method, path), Call: Call{Method: r.Method, Path: path}}
	p.mu.Lock()
	p.calls = append(p.calls, c)
	p.mu.Unlock()

	if c.rule.Before != nil {
		c.rule.Before()
	}
	switch {
	case c.rule.Refuse:
		panic(http.ErrAbortHandler) // the connection breaks
	case c.rule.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		c.instead(w)
	default:
		c.set(func(c *Call) { c.Passed = true })
		r.Body = &recorder{ReadCloser: r.Body, add: func(b []byte) { c.set(func(c *Call) { c.Body = appended(c.Body, b) }) }}
		p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	}
}

// instead answers instead of the server.
func (c *call) instead(w http.ResponseWriter) {
	body, _ := json.Marshal(map[string]string{"message": c.rule.Message}) // strings can be marshaled
	c.set(func(call *Call) { call.Status, call.Answer = c.rule.Status, string(body) })
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(c.rule.Status)
	_, _ = w.Write(body) // who asked is gone
}

// answered is called once the head of the server's answer is there.
func answered(resp *http.Response) error {
	c := resp.Request.Context().Value(callKey{}).(*call)
	c.set(func(c *Call) { c.Status = resp.StatusCode })
	add := func(b []byte) { c.set(func(c *Call) { c.Answer = appended(c.Answer, b) }) }
	if c.rule.After == nil && !c.rule.Lose {
		resp.Body = &recorder{ReadCloser: resp.Body, add: add}
		return nil
	}
	body, err := io.ReadAll(resp.Body) // the server is done with the call
	if err != nil {
		return err
	}
	add(body)
	if c.rule.After != nil {
		c.rule.After()
	}
	if c.rule.Lose {
		c.set(func(c *Call) { c.Lost = true })
		return http.ErrAbortHandler
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// recorder hands over what is read of a body.
type recorder struct {
	io.ReadCloser
	add func([]byte)
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.add(b[:n])
	return n, err
}

func appended(text string, b []byte) string {
	return text + string(b[:min(len(b), max(0, kept-len(text)))])
}
