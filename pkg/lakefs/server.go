// Package lakefs calls a lakeFS server: it reads repositories, branches and commits, asks
// what a caller may do, and performs the actions of a landing (pkg/landing).
package lakefs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/tracing"
)

const (
	apiBase    = "/api/v1"
	maxAnswer  = 16 << 20         // bytes of an answer: a page of commits with long metadata
	readWithin = 30 * time.Second // one attempt of a call that reads

	// mergeWithin bounds a commit and a merge: large trees and hooks take minutes.
	mergeWithin = 10 * time.Minute
	// writeWithin bounds any other call that writes. A landing has a turn on its branch.
	writeWithin = time.Minute

	attempts   = 5 // of a call that reads
	firstPause = 200 * time.Millisecond
	mostPause  = 5 * time.Second
)

// Login is how a request authenticates: the headers of a caller, or the keys of a user. The
// zero Login is nobody. It is a secret: it is never logged or stored.
type Login struct{ header http.Header }

// Keys returns the login of a user with an access key.
func Keys(accessKeyID, secretAccessKey string) Login {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(accessKeyID, secretAccessKey)
	return Login{r.Header}
}

// String shows nothing of a login.
func (l Login) String() string { return "[login]" }

// GoString shows nothing of a login.
func (l Login) GoString() string { return l.String() }

// IsZero reports whether the login is nobody's.
func (l Login) IsZero() bool { return len(l.header) == 0 }

// Name tells the login from others, and does not reveal it: it is the access key, or a hash of
// a token or a session.
func (l Login) Name() string {
	r := http.Request{Header: l.header}
	if id, _, ok := r.BasicAuth(); ok {
		return id
	}
	key := keyOf(l, "name")
	return "sha256:" + hex.EncodeToString(key[:])
}

// sessionCookies are the cookies that lakeFS's own login, OIDC and SAML set.
var sessionCookies = []string{"internal_auth_session", "oidc_auth_session", "saml_auth_session"}

// Forward returns the login of whoever sent a request: its Authorization and lakeFS's
// session cookies, and nothing else of it.
func Forward(r *http.Request) Login {
	out := http.Request{Header: http.Header{}}
	if a := r.Header.Get("Authorization"); a != "" {
		out.Header.Set("Authorization", a)
	}
	for _, name := range sessionCookies {
		if c, err := r.Cookie(name); err == nil {
			out.AddCookie(c)
		}
	}
	return Login{out.Header}
}

// Config says how to reach a server. Zero fields have their defaults.
type Config struct {
	URL       string            // http://host:port, optionally with a path before /api/v1
	Transport http.RoundTripper // default http.DefaultTransport

	// Sleep waits for d or until ctx ends. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	Registerer prometheus.Registerer // nil: the metrics are not registered
}

// Session makes calls with one login. Its methods may be called concurrently.
type Session struct {
	server *server
	login  Login
}

// As returns the session of another login at the same server.
func (s *Session) As(l Login) *Session { return &Session{s.server, l} }

// server is a lakeFS server.
type server struct {
	base   string // with /api/v1, without a '/' at its end
	config Config
	http   http.Client
	*metrics
}

// Open checks the configuration and returns a session. It does not connect.
func Open(config Config, l Login) (*Session, error) {
	u, err := url.Parse(config.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("URL of the lakeFS server: want http://host:port or https://host:port, optionally with a path, and no user or query")
	}
	if config.Sleep == nil {
		config.Sleep = pause.For
	}
	base := strings.TrimSuffix(strings.TrimSuffix(config.URL, "/"), apiBase)
	return &Session{login: l, server: &server{
		base:   base + apiBase,
		config: config,
		// A redirect could send the request and its credentials elsewhere.
		http: http.Client{
			Transport:     config.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		metrics: newMetrics(config.Registerer),
	}}, nil
}

// Error is an answer that is not a success.
type Error struct {
	Status  int    // HTTP status
	Message string // in the server's words, or else the text of the status
}

// Error returns the message and the status.
func (e *Error) Error() string { return fmt.Sprintf("lakeFS: %s (HTTP %d)", e.Message, e.Status) }

// refused reports whether the server refused a call: it did not perform it, and never will.
func (e *Error) refused() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout
}

// IsRefused reports whether an error is an answer that the same call gets again: not a
// failure of the network, of the server, or of what is in between.
func IsRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.refused()
}

// loginRefused is what a server says to a login that it does not know.
const loginRefused = "error authenticating request"

// IsLoginRefused reports whether an error says that the server does not know the login. A
// server that cannot ask whoever keeps its users says so for a while, too.
func IsLoginRefused(err error) bool {
	return says(err, http.StatusUnauthorized, loginRefused)
}

// AccountFault is Fault for a call of the service account. If its login is refused, callers
// can do nothing about it.
func AccountFault(err error) error {
	if IsLoginRefused(err) {
		return fault.Unavailable("", "the lakeFS server refuses the login of the service account now, try again")
	}
	return Fault(err)
}

// Fault turns a refusal of the server into a fault with its words. Any other error means
// that the server cannot be asked now.
func Fault(err error) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case err == nil:
		return nil
	case ok && e.Status == http.StatusUnauthorized:
		return fault.Deny("%s", e.Message)
	case ok && e.Status == http.StatusForbidden:
		return fault.Forbid("%s", e.Message)
	case ok && e.Status == http.StatusNotFound:
		return &fault.Fault{Kind: fault.NotFound, Text: e.Message}
	case ok && e.refused():
		return fault.BadField("", "%s", e.Message)
	}
	return fault.Unavailable("", "the lakeFS server cannot be asked now, try again") // the error has the server's address
}

// call is one operation of the API.
type call struct {
	operation string // its name in the metrics
	method    string
	path      []string // elements after the base, unescaped
	query     url.Values
	body      any // sent as JSON unless nil
	answer    any // a pointer that the JSON of a 2xx answer is read into, unless nil
}

// read performs a call that may be repeated, again if that may help: most change nothing.
func (s *Session) read(ctx context.Context, c call) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, c, readWithin)
		if err == nil || IsRefused(err) || attempt == attempts || ctx.Err() != nil {
			return err
		}
		wait := time.Duration(rand.Float64() * float64(pause.Bound(firstPause, mostPause, attempt)))
		if s.server.config.Sleep(ctx, wait) != nil {
			return err
		}
	}
}

// once performs a call by one request.
func (s *Session) once(ctx context.Context, c call, within time.Duration) error {
	begun := time.Now()
	timed, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	status, err := s.server.send(timed, s.login, c)
	if status != 0 || ctx.Err() == nil { // else the caller did not wait for the answer
		s.server.observe(c, status, time.Since(begun), tracing.ID(ctx))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.operation, err)
	}
	return nil
}

// send sends the request of a call and reads the answer. The status is 0 if there is none.
func (s *server) send(ctx context.Context, l Login, c call) (status int, err error) {
	req, err := s.request(ctx, l, c)
	if err != nil {
		return 0, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return resp.StatusCode, fmt.Errorf("read the answer: %w", err)
	case len(body) > maxAnswer:
		return resp.StatusCode, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return resp.StatusCode, &Error{resp.StatusCode, message(body, resp.StatusCode)}
	case c.answer == nil:
		return resp.StatusCode, nil
	}
	if text, ok := c.answer.(*[]byte); ok {
		*text = body
		return resp.StatusCode, nil
	}
	if err := json.Unmarshal(body, c.answer); err != nil {
		return resp.StatusCode, fmt.Errorf("the answer is not that of a lakeFS server: %w", err)
	}
	return resp.StatusCode, nil
}

func (s *server) request(ctx context.Context, l Login, c call) (*http.Request, error) {
	var body io.Reader
	if c.body != nil {
		data, err := json.Marshal(c.body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	target := s.base
	for _, element := range c.path {
		if element == "." || element == ".." { // which nothing escapes: the server would take it for another path
			return nil, &Error{http.StatusBadRequest, strconv.Quote(element) + " is no name"}
		}
		target += "/" + url.PathEscape(element)
	}
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if l.header != nil {
		req.Header = l.header.Clone()
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// maxMessage bounds the bytes of a server's message that are kept.
const maxMessage = 1000

// message returns what an answer says, or else the text of its status.
func message(body []byte, status int) string {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(body, &said) // what is between may answer anything
	return cmp.Or(said.Message[:min(len(said.Message), maxMessage)], http.StatusText(status), "status "+strconv.Itoa(status))
}
