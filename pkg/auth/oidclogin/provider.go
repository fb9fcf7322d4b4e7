package oidclogin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/rangefleet/rangefleet/pkg/auth/token"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

const (
	callTimeout   = 5 * time.Second  // of a call to the provider
	discoverEvery = time.Hour        // so that changes of the provider are noticed
	discoverAgain = 10 * time.Second // least time after a discovery that failed
)

// provider is what a provider says of itself.
type provider struct {
	oauth  oauth2.Config
	tokens *token.Outside
	client *http.Client
}

// exchange returns the ID token that the provider gives for a code. A code for another login
// does not suit the verifier.
func (p *provider) exchange(ctx context.Context, code, verifier string) (idToken string, err error) {
	t, err := p.oauth.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(verifier))
	if failed, ok := errors.AsType[*oauth2.RetrieveError](err); ok { // its text has the body of the answer
		reason := fmt.Sprintf("the provider answers %d", failed.Response.StatusCode)
		if errorCode.MatchString(failed.ErrorCode) {
			reason += " " + failed.ErrorCode
		}
		if failed.Response.StatusCode >= http.StatusInternalServerError {
			return "", errors.New("exchange a code: " + reason)
		}
		return "", refused("exchange the code: %s", reason)
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return "", fmt.Errorf("exchange a code: %w", err)
	}
	if err != nil {
		return "", refused("exchange the code: no token in the answer of the provider")
	}
	idToken, _ = t.Extra("id_token").(string)
	if idToken == "" {
		return "", refused("the provider gives no ID token")
	}
	return idToken, nil
}

// discovery asks a provider about itself when that is needed first: while it is down,
// coordinators start, and only logins fail.
type discovery struct {
	cfg     Config
	client  *http.Client
	flights singleflight.Group

	mu    sync.Mutex
	known *provider
	tried time.Time // when the last call began; zero if there was none
	err   error     // of that call
}

// provider returns what the provider says of itself.
func (d *discovery) provider(ctx context.Context) (*provider, error) {
	if d.due() {
		flight := d.flights.DoChan("", func() (any, error) { d.discover(context.WithoutCancel(ctx)); return nil, nil })
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-flight:
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		return nil, fmt.Errorf("ask the identity provider %s about itself: %w", d.cfg.Issuer, d.err)
	}
	return d.known, nil
}

func (d *discovery) due() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	age := d.cfg.Now().Sub(d.tried)
	return d.tried.IsZero() || age >= discoverEvery || d.err != nil && age >= discoverAgain
}

// discover asks the provider. If that fails, what it said before stays true.
func (d *discovery) discover(ctx context.Context) {
	began := d.cfg.Now()
	p, err := d.ask(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried, d.err = began, err
	if err == nil {
		d.known = p
	}
}

func (d *discovery) ask(ctx context.Context) (*provider, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, d.client), d.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := found.Endpoint()
	for _, u := range []string{endpoint.AuthURL, endpoint.TokenURL, more.Keys} {
		if err := checkURL(u); err != nil {
			return nil, err
		}
	}
	endpoint.AuthStyle = d.authStyle(more.Methods)
	tokens, err := token.NewOutside(token.OutsideConfig{
		Issuer: d.cfg.Issuer, Audience: d.cfg.ClientID, Keys: more.Keys, Transport: d.cfg.Transport, Now: d.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	return &provider{client: d.client, tokens: tokens, oauth: oauth2.Config{
		ClientID: d.cfg.ClientID, ClientSecret: d.cfg.ClientSecret, Endpoint: endpoint, RedirectURL: d.cfg.RedirectURL,
		Scopes: append([]string{oidc.ScopeOpenID}, d.cfg.Scopes...),
	}}, nil
}

// authStyle returns how the client proves who it is, of the ways that the provider takes: by a
// header, which is the way of a provider that names none, or in the body.
func (d *discovery) authStyle(methods []string) oauth2.AuthStyle {
	if d.cfg.ClientSecret != "" && (len(methods) == 0 || slices.Contains(methods, "client_secret_basic")) {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// client returns a client that follows no redirects, and reads answers of bounded size in bounded
// time.
func client(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: bounded{t}, Timeout: callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded bounds the bodies of answers. Those that are longer are cut off.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, limits.KeySet), resp.Body}
	return resp, nil
}

// checkURL refuses URLs to which secrets must not be sent.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !local(u.Hostname())) {
		return fmt.Errorf("%.300q: want a URL of https://, without user and password", text)
	}
	return nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
