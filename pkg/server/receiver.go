package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Authenticator is what the server needs of *auth.Authenticator. It neither logs nor keeps what
// is presented.
type Authenticator interface {
	// Authenticate returns who presents something, or auth.ErrUnauthenticated. Any other error
	// says that this cannot be found out now.
	Authenticate(ctx context.Context, p auth.Presented) (access.Caller, error)
	// Cheap reports whether a wrong guess of what is presented costs the bucket nothing.
	Cheap(p auth.Presented) bool
	// Begin begins a session of a caller who has just shown an access key.
	Begin(ctx context.Context, c access.Caller) (auth.Begun, error)
	// End ends the session that a caller showed.
	End(ctx context.Context, c access.Caller) error
	// ReplaceKeys ends all tokens of sessions.
	ReplaceKeys(ctx context.Context) error
	// BeginExternal begins a session of a user of an identity provider.
	BeginExternal(ctx context.Context, e auth.External) (auth.Begun, error)
}

// receiver authenticates requests, reserves the memory that they need, reads their bodies,
// and answers them.
type receiver struct {
	errorWriter
	auth      Authenticator
	gate      *lakefs.Gate // nil: auth knows all callers
	https     bool         // clients reach the server by HTTPS, even if its own connections have no TLS
	grants    Grants
	logins    *auth.LoginLimiter
	strangers strangers
	changes   *rates                 // requests that may change something, by user
	failed    *prometheus.CounterVec // logins, by outcome
	proxies   Proxies
	budget    *Budget
	anonymous *shares // for reading bodies of requests without valid credentials
}

func newReceiver(c Config) *receiver {
	return &receiver{
		errorWriter: errorWriter{ready: c.Ready, log: c.Log},
		auth:        c.Auth, gate: c.Gate, https: strings.HasPrefix(c.PublicURL, "https://"), grants: c.Grants, logins: auth.NewLoginLimiter(c.Now, pauseAside), proxies: c.Proxies,
		budget: c.Memory, anonymous: newShares(limits.AnonymousRequests, limits.AnonymousShare), changes: newRates(limits.Changes, limits.ChangesBurst, c.Now),
		strangers: newStrangers(c.Proxies, c.Now),
		failed: metric.With(c.Registerer).CounterVec("http_failed_logins_total",
			"Failed logins: wrong ones, and refused ones, which were not checked as too many of the same key and address were waiting for their answers.",
			metric.By("outcome", "wrong", "refused")),
	}
}

// admitted counts a request that proves no user, and answers it if there were too many.
func (c *receiver) admitted(w http.ResponseWriter, r *http.Request) bool {
	err := c.strangers.admit(r)
	if err != nil {
		c.failLogin(w, r, err)
	}
	return err == nil
}

// login returns who sent a request: a caller without a user if it has no valid credentials.
// Answers to wrong secrets are delayed more and more; the error is auth.ErrTooManyLogins if too
// many wait.
func (c *receiver) login(w http.ResponseWriter, r *http.Request) (access.Caller, error) {
	p, err := auth.Read(r.Header)
	if err != nil {
		return access.Caller{}, err
	}
	if c.gate != nil {
		return c.loginAtServer(w, r)
	}
	if p.IsZero() {
		return access.Caller{}, c.strangers.admit(r)
	}
	return c.prove(w, r, p)
}

// prove returns who presents something, as login does. What is not cheap to check is counted before
// it is checked, and not only if it is wrong: however many guesses come at once, few are looked up.
func (c *receiver) prove(w http.ResponseWriter, r *http.Request, p auth.Presented) (access.Caller, error) {
	counted := !c.auth.Cheap(p)
	if counted {
		if err := c.strangers.admit(r); err != nil {
			c.failed.WithLabelValues("refused").Inc()
			return access.Caller{}, err
		}
	}
	caller, err := c.try(w, r, attempt{
		scheme: p.Scheme(), login: auth.Login{AccessKeyID: p.AccessKeyID()}, counted: counted,
		check: func(ctx context.Context) (access.Caller, error) { return c.auth.Authenticate(ctx, p) },
	})
	if counted && caller.User != "" {
		c.strangers.giveBack(r)
	}
	return caller, err
}

// loginAtServer is login for callers of a lakeFS server.
func (c *receiver) loginAtServer(w http.ResponseWriter, r *http.Request) (access.Caller, error) {
	l := lakefs.Forward(r)
	if l.IsZero() {
		return access.Caller{}, c.strangers.admit(r)
	}
	return c.try(w, r, attempt{
		login: auth.Login{AccessKeyID: l.Name(), Accepted: c.gate.Accepted(l)},
		check: func(ctx context.Context) (access.Caller, error) {
			user, ok, err := c.gate.Authenticate(ctx, l)
			if err == nil && !ok {
				err = auth.ErrUnauthenticated
			}
			return access.Caller{User: user}, err
		},
	})
}

// attempt is one to log in.
type attempt struct {
	scheme  string
	login   auth.Login // without an access key, nobody can guess what is shown, and failures are not slowed down
	counted bool       // by strangers
	check   func(context.Context) (access.Caller, error)
}

// try returns the caller of an attempt, or one without a user if it fails.
func (c *receiver) try(w http.ResponseWriter, r *http.Request, a attempt) (caller access.Caller, err error) {
	from := c.proxies.client(r)
	a.login.Address = network(from)
	check := func() (ok bool, err error) {
		caller, err = a.check(r.Context())
		if err != nil && !errors.Is(err, auth.ErrUnauthenticated) && c.ready(r.Context()) != nil && c.waitReady(r.Context()) == nil { // a short outage
			caller, err = a.check(r.Context())
		}
		if errors.Is(err, auth.ErrUnauthenticated) {
			if !a.counted {
				if err := c.strangers.admit(r); err != nil {
					return false, err
				}
			}
			known := auth.KnownKey(err) // another one is not logged: it may be a secret in the wrong place
			noted(w).caller.Credential = access.Credential{Kind: shown[a.scheme], ID: known}
			c.failed.WithLabelValues("wrong").Inc()
			c.log.WarnContext(r.Context(), "login failed", "request_id", requestID(w), "client", from.String(), "scheme", a.scheme, "access_key_id", known)
			return false, nil
		}
		return err == nil, err
	}
	try := check
	if a.login.AccessKeyID != "" {
		try = func() (bool, error) { return c.logins.Try(r.Context(), a.login, check) }
	}
	ok, err := try()
	if errors.Is(err, auth.ErrTooManyLogins) || errors.Is(err, errStrangers) {
		c.failed.WithLabelValues("refused").Inc()
	}
	if err != nil || !ok {
		return access.Caller{}, err
	}
	noted(w).caller = caller
	return caller, nil
}

// shown are the kinds of credentials that the schemes show.
var shown = map[string]access.CredentialKind{
	"basic_auth": access.AccessKey, "jwt_token": access.Token,
	"cookie_auth": access.Session, "oidc_auth": access.Session, "saml_auth": access.Session,
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
