package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Authenticator checks credentials. It is safe for concurrent use, and neither logs nor
// keeps the secret.
type Authenticator interface {
	// Authenticate returns the user of an access key, "" if there is no such key, and
	// whether the secret is that of the key. With an error neither could be found out.
	Authenticate(ctx context.Context, accessKeyID, secret string) (user string, ok bool, err error)
}

// receiver authenticates requests, reserves the memory that they need, and reads their
// bodies. Its methods answer a request themselves if it cannot be served, and then return
// that it is not ok.
type receiver struct {
	auth      Authenticator
	logins    *auth.LoginLimiter
	failed    *prometheus.CounterVec // logins, by outcome
	proxies   Proxies
	budget    *budget
	anonymous slots // for reading bodies of requests without valid credentials
	ready     func(context.Context) error
	errors    errorWriter
	log       *slog.Logger
}

func newReceiver(c Config, e errorWriter) *receiver {
	return &receiver{
		auth: c.Auth, logins: auth.NewLoginLimiter(c.Now), proxies: c.Proxies, budget: newBudget(limits.RequestMemory, c.Reserved),
		anonymous: make(slots, limits.AnonymousRequests), ready: c.Ready, errors: e, log: c.Log,
		failed: metric.With(c.Registerer).CounterVec("http_failed_logins_total",
			"Failed logins: wrong ones, and refused ones, which were not checked as too many of the same key and address were waiting for their answers.",
			metric.By("outcome")),
	}
}

// authenticate is receive for a request whose body is ignored.
func (c *receiver) authenticate(w http.ResponseWriter, r *http.Request) (user string, ok bool) {
	return c.receive(w, r, need{}, nil)
}

// authenticateAndRead is receive for a request with a body of at most limits.Body bytes, which
// is passed to read in one piece.
func (c *receiver) authenticateAndRead(w http.ResponseWriter, r *http.Request, read func([]byte) error) (user string, ok bool) {
	return c.receive(w, r, need{body: limits.Body, perByte: perByte}, whole(read))
}

// defaultAmount is the number of results on a page if the request names none.
const defaultAmount = 100

// authenticatePage is authenticate for a request for a page of results, each of which takes
// some bytes of memory. It returns how many results the page may hold.
func (c *receiver) authenticatePage(w http.ResponseWriter, r *http.Request, asked int, each int64) (amount int, ok bool) {
	if asked > limits.Results {
		refuse(w, http.StatusBadRequest, parameterError("amount", fmt.Sprintf("at most %d", limits.Results)))
		return 0, false
	}
	if asked <= 0 {
		asked = defaultAmount
	}
	_, ok = c.receive(w, r, need{fixed: int64(asked) * each}, nil)
	return asked, ok
}

// receive authenticates a request and reads its body. It waits a while for the memory that
// the request needs, which is reserved until the request is answered, and for the service
// to be ready. A malformed body is reported before missing credentials, since clients
// expect that order.
func (c *receiver) receive(w http.ResponseWriter, r *http.Request, n need, read func(io.Reader) error) (user string, ok bool) {
	user, err := c.login(r)
	if err == nil && user != "" {
		err = c.budget.charge(r, n.memory(r))
	}
	if err != nil {
		c.refuse(w, r, n, err)
		return "", false
	}
	if user == "" {
		c.receiveAnonymous(w, r, n, read)
		return "", false
	}
	if code, err := readBody(w, r, n.body, read); err != nil {
		badBody(w, code, err)
		return "", false
	}
	if err := c.waitReady(r.Context()); err != nil {
		c.errors.answer(w, r, err)
		return "", false
	}
	return user, true
}

// refuse answers a request that was not read.
func (c *receiver) refuse(w http.ResponseWriter, r *http.Request, n need, err error) {
	switch {
	case errors.Is(err, auth.ErrTooManyLogins):
		tooMany(w, auth.LoginRetryAfter, err.Error()+": try again later")
	case errors.Is(err, errBusy):
		discard(http.MaxBytesReader(w, r.Body, n.body))
		tooMany(w, busyRetryAfter, err.Error())
	default:
		c.errors.answer(w, r, err)
	}
}

// receiveAnonymous answers a request without valid credentials: what is wrong with its
// body, if that is small, or else that it is not authenticated.
func (c *receiver) receiveAnonymous(w http.ResponseWriter, r *http.Request, n need, read func(io.Reader) error) {
	if !c.anonymous.tryAcquire() {
		unauthorized(w, r)
		return
	}
	defer c.anonymous.release()
	code, err := readBody(w, r, min(n.body, limits.AnonymousBody), read)
	if err != nil && code != http.StatusRequestEntityTooLarge {
		badBody(w, code, err)
		return
	}
	unauthorized(w, r)
}

// login returns the user of a request, "" if it has no valid credentials. Answers to wrong
// ones are delayed more and more; the error is auth.ErrTooManyLogins if too many wait.
func (c *receiver) login(r *http.Request) (string, error) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", nil
	}
	from := c.proxies.client(r)
	var user string
	ok, err := c.logins.Try(r.Context(), auth.Login{AccessKeyID: id, Address: network(from)}, func() (ok bool, err error) {
		user, ok, err = c.auth.Authenticate(r.Context(), id, secret)
		if err == nil && !ok {
			c.failed.WithLabelValues("wrong").Inc()
			// An unknown key is not logged: it may be a secret in the wrong place.
			c.log.WarnContext(r.Context(), "login failed", "request_id", requestID(r), "client", from.String(), "access_key_id", user)
		}
		return ok, err
	})
	if errors.Is(err, auth.ErrTooManyLogins) {
		c.failed.WithLabelValues("refused").Inc()
	}
	if err != nil || !ok {
		return "", err
	}
	return user, nil
}

// How long a request waits until the service is ready or memory is free, and how often it
// checks. NATS usually reconnects, or elects a leader, within two seconds. The wait is
// shorter than clients' timeouts; their retries, with the pauses in between, outlast a
// restart.
const (
	maxWait   = 5 * time.Second
	pollEvery = 100 * time.Millisecond
)

// waitReady waits until requests can be served, and returns why they cannot after maxWait.
func (c *receiver) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for {
		err := c.ready(ctx)
		if err == nil || pause.For(ctx, pollEvery) != nil {
			return err
		}
	}
}

// unauthenticated is the message by which clients recognize that a session has ended.
const unauthenticated = "error authenticating request"

// unauthorized answers a request without valid credentials. A browser would show a dialog
// if it were challenged; one that sends a cookie has a page of its own to log in.
func unauthorized(w http.ResponseWriter, r *http.Request) {
	if len(r.Header["Cookie"]) == 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="rangefleet", charset="UTF-8"`)
	}
	refuse(w, http.StatusUnauthorized, unauthenticated)
}

func badBody(w http.ResponseWriter, code int, err error) {
	refuse(w, code, "request body has an error: "+err.Error())
}

// missing says that a field or parameter is required.
const missing = "value is required but missing"

// into returns a function that reads a body as a T.
func into[T any](v *T) func([]byte) error {
	return func(data []byte) (err error) {
		*v, err = decode[T](data)
		return err
	}
}

// optional returns read for bodies that may be absent.
func optional(read func([]byte) error) func([]byte) error {
	return func(data []byte) error {
		if len(bytes.TrimSpace(data)) == 0 {
			return nil
		}
		return read(data)
	}
}

// checkMediaType refuses the media types that a form of another web site can make a browser
// send, together with credentials that the browser keeps.
func checkMediaType(header string) error {
	if header == "" {
		return nil
	}
	if media, _, err := mime.ParseMediaType(header); err != nil || media != "application/json" {
		return fmt.Errorf("header Content-Type is %q, want application/json", header)
	}
	return nil
}

// parameterError returns the message for a wrong parameter.
func parameterError(name, text string) string {
	return fmt.Sprintf("parameter %q in query has an error: %s", name, text)
}

// badParameter answers a request with a parameter that is missing, repeated or of another type.
func badParameter(w http.ResponseWriter, _ *http.Request, err error) {
	var required *api.RequiredParamError
	var format *api.InvalidParamFormatError
	switch {
	case errors.As(err, &required):
		refuse(w, http.StatusBadRequest, parameterError(required.ParamName, missing))
	case errors.As(err, &format):
		refuse(w, http.StatusBadRequest, parameterError(format.ParamName, format.Err.Error()))
	default:
		refuse(w, http.StatusBadRequest, err.Error())
	}
}
