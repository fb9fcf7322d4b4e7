// Package client is a client of the HTTP API. Failed calls are retried a bounded number of
// times if that is safe. A call that creates or deletes a repository, a user or an access key, or
// creates or moves a branch, is only retried if the service cannot have received it. Starting an import can be
// retried: a second request with the same body returns the same import.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// maxAnswer bounds the size of an answer in bytes. A page of 1,000 objects with keys and
// addresses of 1,024 bytes, each byte escaped, is smaller.
const maxAnswer = 32 << 20

// mostAsked is the longest pause before a retry that the service can ask for.
const mostAsked = time.Minute

// Config says how to reach a coordinator. Zero fields have their defaults.
type Config struct {
	Endpoint        string // http://host:port, optionally with a path before /api/v1
	AccessKeyID     string
	SecretAccessKey string
	Token           string // of a login, instead of the keys

	Attempts int           // of each call; default 5
	Timeout  time.Duration // of one attempt; default a little more than api.AnswerWithin

	// Retry, if not nil, is called before each retry with the error of the attempt before.
	Retry func(err error)

	Transport http.RoundTripper // default http.DefaultTransport
	// Sleep waits for d or until ctx ends. Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Random returns a number in [0, 1) for the jitter. Default: math/rand/v2.
	Random func() float64
}

// Client calls one coordinator. Its methods may be called concurrently.
type Client struct {
	config Config
	base   string // without a '/' at its end
	http   http.Client
}

// New checks the configuration and returns a client. It does not connect.
func New(config Config) (*Client, error) {
	u, err := url.Parse(config.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("endpoint %q: want http://host:port or https://host:port", config.Endpoint)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("endpoint %q: want only http://host:port/path", u.Redacted())
	}
	config.Attempts = cmp.Or(config.Attempts, 5)
	config.Timeout = cmp.Or(config.Timeout, api.AnswerWithin+10*time.Second)
	if config.Sleep == nil {
		config.Sleep = pause.For
	}
	if config.Random == nil {
		config.Random = rand.Float64
	}
	base := strings.TrimSuffix(strings.TrimSuffix(config.Endpoint, "/"), api.BaseURL)
	c := &Client{config: config, base: base + api.BaseURL}
	// A redirect could send the request and its credentials elsewhere.
	c.http = http.Client{
		Transport:     config.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Error is an answer that is not a success.
type Error struct {
	Status  int    // HTTP status
	Message string // of the service, or else the text of the status

	retryAfter time.Duration
}

// Error returns the message and the status.
func (e *Error) Error() string { return fmt.Sprintf("%s (HTTP %d)", e.Message, e.Status) }

// errGarbled says that an answer does not come from this API.
var errGarbled = errors.New("the answer is not that of a coordinator")

// Transient reports whether the same call may succeed later: the service could not be
// reached, or answered that it is unavailable or busy.
func Transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || Untrusted(err) || errors.Is(err, http.ErrSchemeMismatch) {
		return false
	}
	if answer, ok := errors.AsType[*Error](err); ok {
		return answer.Status == http.StatusTooManyRequests || answer.Status >= 500
	}
	return !errors.Is(err, errGarbled)
}

// Untrusted reports whether a call was not made, as the certificate of the service could not be
// verified.
func Untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// call is one operation of the API.
type call struct {
	method string
	path   []string   // elements after the base, unescaped
	query  url.Values // may be nil
	body   any        // sent as JSON unless nil
	answer any        // a pointer that a 2xx answer is read into, unless nil: a text, or JSON
	once   bool       // must not be retried once it was sent
}

// do attempts a call until it succeeds, fails permanently, or has used up its attempts.
func (c *Client) do(ctx context.Context, what call) error {
	var body []byte
	if what.body != nil {
		var err error
		if body, err = json.Marshal(what.body); err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
	}
	refused := true // by all attempts
	for attempt := 1; ; attempt++ {
		err := c.try(ctx, what, body)
		if refused = refused && Refused(err); refused {
			err = unsent(err)
		}
		if !Transient(err) || what.once && !Refused(err) || attempt >= c.config.Attempts || ctx.Err() != nil {
			return err
		}
		if c.config.Retry != nil {
			c.config.Retry(err)
		}
		if c.config.Sleep(ctx, c.pause(attempt, err)) != nil {
			return err
		}
	}
}

// ask is do for a call with an answer, which it returns.
func ask[T any](ctx context.Context, c *Client, what call) (answer T, err error) {
	what.answer = &answer
	err = c.do(ctx, what)
	return answer, err
}

// pause returns how long to wait after an attempt. It doubles with each attempt, and is
// reduced by a random part of up to half, so that many clients do not retry together. The
// service may ask for a longer pause.
func (c *Client) pause(attempt int, err error) time.Duration {
	const first, most = 200 * time.Millisecond, 5 * time.Second
	d := pause.Bound(first, most, attempt)
	d -= time.Duration(c.config.Random() * float64(d) / 2)
	return max(d, RetryAfter(err))
}

func (c *Client) try(ctx context.Context, what call, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, what.method, c.url(what), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	switch {
	case c.config.Token != "":
		request.Header.Set("Authorization", "Bearer "+c.config.Token)
	case c.config.AccessKeyID != "":
		request.SetBasicAuth(c.config.AccessKeyID, c.config.SecretAccessKey)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return &Unreachable{Endpoint: strings.TrimSuffix(c.base, api.BaseURL), Err: err}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return failure(response, content)
	}
	if what.answer == nil {
		return nil
	}
	if err := readAnswer(content, what.answer); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w: %w", c.base, errGarbled, err)
	}
	return nil
}

// commitID is an answer that is the ID of a commit, and no JSON.
type commitID string

var validCommitID = regexp.MustCompile(`^[0-9a-f]+$`)

func readAnswer(content []byte, answer any) error {
	id, ok := answer.(*commitID)
	if !ok {
		return json.Unmarshal(content, answer)
	}
	*id = commitID(strings.Trim(string(content), "\" \r\n")) // earlier versions of the service answered JSON
	if !validCommitID.MatchString(string(*id)) {
		return errors.New("it is not the ID of a commit")
	}
	return nil
}

// url returns the URL of a call. Each element of the path is escaped, since a ref or a
// repository can contain '%' or '/'.
func (c *Client) url(what call) string {
	var b strings.Builder
	b.WriteString(c.base)
	for _, element := range what.path {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(element))
	}
	if len(what.query) > 0 {
		b.WriteByte('?')
		b.WriteString(what.query.Encode())
	}
	return b.String()
}

// needsTLS is how net/http answers HTTP without TLS where it expects TLS.
const needsTLS = "Client sent an HTTP request to an HTTPS server"

// failure returns the error of an answer that is not a success. A body that is not this
// API's, such as a proxy's page, is ignored.
func failure(response *http.Response, content []byte) error {
	e := &Error{Status: response.StatusCode, Message: http.StatusText(response.StatusCode)}
	var said api.Error
	if json.Unmarshal(content, &said) == nil && said.Message != "" {
		e.Message = said.Message
	} else if bytes.HasPrefix(content, []byte(needsTLS)) {
		e.Message = needsTLS + ": want https:// in the endpoint"
	}
	if s, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && s > 0 {
		e.retryAfter = time.Duration(s) * time.Second
	}
	return e
}
