package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Authenticator checks credentials. It is safe for concurrent use, and neither logs nor
// keeps the secret.
type Authenticator interface {
	// Authenticate returns the user of an access key, "" if there is no such key, and
	// whether the secret is that of the key. An error says that they could not be checked.
	Authenticate(ctx context.Context, accessKeyID, secret string) (user string, ok bool, err error)
}

// receiver authenticates requests, reserves the memory that they need, reads their bodies,
// and answers them.
type receiver struct {
	errorWriter
	auth      Authenticator
	gate      *lakefs.Gate // nil: auth knows all callers
	grants    Grants
	logins    *auth.LoginLimiter
	failed    *prometheus.CounterVec // logins, by outcome
	proxies   Proxies
	budget    *Budget
	anonymous slots // for reading bodies of requests without valid credentials
}

func newReceiver(c Config) *receiver {
	return &receiver{
		errorWriter: errorWriter{ready: c.Ready, log: c.Log},
		auth:        c.Auth, gate: c.Gate, grants: c.Grants, logins: auth.NewLoginLimiter(c.Now), proxies: c.Proxies,
		budget: c.Memory, anonymous: make(slots, limits.AnonymousRequests),
		failed: metric.With(c.Registerer).CounterVec("http_failed_logins_total",
			"Failed logins: wrong ones, and refused ones, which were not checked as too many of the same key and address were waiting for their answers.",
			metric.By("outcome")),
	}
}

// login returns who sent a request: a caller without a user if it has no valid credentials.
// Answers to wrong ones are delayed more and more; the error is auth.ErrTooManyLogins if too many wait.
func (c *receiver) login(w http.ResponseWriter, r *http.Request) (access.Caller, error) {
	id, secret, ok := r.BasicAuth()
	authenticate := func(ctx context.Context) (string, bool, error) { return c.auth.Authenticate(ctx, id, secret) }
	accepted := false
	if c.gate != nil {
		l := lakefs.Forward(r)
		ok, id, accepted = !l.IsZero(), l.Name(), c.gate.Accepted(l)
		authenticate = func(ctx context.Context) (string, bool, error) { return c.gate.Authenticate(ctx, l) }
	}
	if !ok {
		return access.Caller{}, nil
	}
	from := c.proxies.client(r)
	var user string
	ok, err := c.logins.Try(r.Context(), auth.Login{AccessKeyID: id, Address: network(from), Accepted: accepted}, func() (ok bool, err error) {
		user, ok, err = authenticate(r.Context())
		if err != nil && c.ready(r.Context()) != nil && c.waitReady(r.Context()) == nil { // a short outage
			user, ok, err = authenticate(r.Context())
		}
		if err == nil && !ok {
			c.failed.WithLabelValues("wrong").Inc()
			known := id
			if user == "" { // an unknown key is not logged: it may be a secret in the wrong place
				known = ""
			}
			c.log.WarnContext(r.Context(), "login failed", "request_id", requestID(w), "client", from.String(), "access_key_id", known)
		}
		return ok, err
	})
	if errors.Is(err, auth.ErrTooManyLogins) {
		c.failed.WithLabelValues("refused").Inc()
	}
	if err != nil || !ok {
		return access.Caller{}, err
	}
	if c.gate != nil {
		return access.Caller{User: user}, nil
	}
	return access.Caller{User: user, Credential: access.Credential{Kind: access.AccessKey, ID: id}}, nil
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
