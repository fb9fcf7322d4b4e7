// Package samllogin logs users in by SAML 2.0: it asks an identity provider who they are, and
// checks what that answers.
//
// A login has three steps. Begin makes a request, which the browser carries to the provider, and
// remembers it in a cookie. Accept checks the provider's response, which the browser posts. Then
// Finish tells, once, to the browser with the cookie of the request, who its user is. Accept cannot
// do that: a browser does not send the cookie with a form that another site makes it post.
//
// So nothing is stored before a provider has signed a response, and a response is worth nothing
// in any other browser. The provider cannot begin a login itself.
package samllogin

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rangefleet/rangefleet/pkg/auth"
	"github.com/rangefleet/rangefleet/pkg/auth/once"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// Paths of this server, which the provider and browsers are told.
const (
	MetadataPath = "/sso/metadata"
	AcceptPath   = "/sso/acs"
)

// Config is what Logins are made of. All fields but EntityID and UserAttribute are required.
type Config struct {
	PublicURL     string // of this server, without a path
	EntityID      string // of this server; default: the URL of its metadata
	UserAttribute string // attribute that names the user; default: none, the subject's NameID does
	Key           Key    // that signs requests
	Sealer        *auth.Sealer
	Used          *once.Store // requests whose response was accepted
	Now           func() time.Time
}

// Logins are logins at one identity provider. Its methods may be called concurrently. An error
// that is auth.ErrUnauthenticated says that a login failed, and why. Any other error says that it
// cannot be known now whether it does.
type Logins struct {
	cfg      Config
	acs      url.URL
	provider atomic.Pointer[saml.EntityDescriptor]
}

// New returns the logins at the provider that metadata, an XML document, describes.
func New(c Config, metadata []byte) (*Logins, error) {
	acs, err := url.Parse(c.PublicURL + AcceptPath)
	if err != nil {
		return nil, fmt.Errorf("public URL: %w", err)
	}
	c.EntityID = cmp.Or(c.EntityID, c.PublicURL+MetadataPath)
	l := &Logins{cfg: c, acs: *acs}
	return l, l.Trust(metadata)
}

// Trust makes further requests to, and accepts further responses of, the provider that metadata
// describes. With an error, all is as before.
func (l *Logins) Trust(metadata []byte) error {
	p, err := parseProvider(metadata)
	if err != nil {
		return fmt.Errorf("metadata of the identity provider: %w", err)
	}
	l.provider.Store(p)
	return nil
}

// Begin returns the URL at which a browser asks the provider who its user is, and the cookie by
// which Finish knows the browser, for connections with TLS only if secure is set. The browser wants
// to go to a path, which is returned as it is.
func (l *Logins) Begin(returnTo string, secure bool) (location string, cookie *http.Cookie, err error) {
	pending := l.newPending(returnTo)
	sp := l.client(l.cfg.Now())
	r, err := sp.MakeAuthenticationRequest(sp.GetSSOBindingLocation(saml.HTTPRedirectBinding), saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", nil, fmt.Errorf("request a login: %w", err)
	}
	r.ID = pending.Request
	// A relay state would come back unsigned. The cookie has what is to be remembered.
	u, err := r.Redirect("", sp)
	if err != nil {
		return "", nil, fmt.Errorf("sign the request for a login: %w", err)
	}
	return u.String(), l.cookie().Holding(pending.text(), secure), nil
}

// Accept takes a response of the provider, in Base64. Each request has one response.
func (l *Logins) Accept(ctx context.Context, response string) error {
	if len(response) > base64.StdEncoding.EncodedLen(limits.SAMLResponse) {
		return refused("it has more than %d bytes", limits.SAMLResponse)
	}
	document, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		return refused("it is not Base64")
	}
	request, err := examine(document)
	if err != nil {
		return refused("%.300s", err) // it may quote the document
	}
	if !l.isPending(request, 0) {
		return refused("it is for no request of the last %v", life)
	}
	user, err := l.verify(document, request)
	if err != nil {
		return err
	}
	return l.add(ctx, request, user)
}

// Finish returns the user of a login that the browser with the cookies of a header began, and where
// the browser wanted to go. Of several calls one gets the user.
func (l *Logins) Finish(ctx context.Context, h http.Header, secure bool) (user auth.External, returnTo string, err error) {
	p := l.open(h, secure)
	if !l.isPending(p.Request, finishWithin) {
		return auth.External{}, "", refused("this browser began no login in the last %v", life)
	}
	user, err = l.take(ctx, p.Request)
	return user, p.ReturnTo, err
}

// usedAs returns the name by which it is remembered that a request was answered. So a response cannot
// be accepted twice, by any coordinators. An assertion names one request, so that it cannot be, either.
func usedAs(request string) string { return "saml " + request }

// add stores the user that the response to a request vouches for.
func (l *Logins) add(ctx context.Context, request string, user auth.External) error {
	value, err := json.Marshal(user)
	if err != nil {
		return fmt.Errorf("encode the user of a login: %w", err)
	}
	first, err := l.cfg.Used.Leave(ctx, usedAs(request), value, l.cfg.Now().Add(life+finishWithin)) // then its age refuses it
	if err == nil && !first {
		err = refused("its request was answered before")
	}
	return err
}

// take returns the user that was added for a request. Of several calls, one gets the user.
func (l *Logins) take(ctx context.Context, request string) (user auth.External, err error) {
	value, ok, err := l.cfg.Used.Take(ctx, usedAs(request))
	if err == nil && !ok {
		err = refused("there is none for this browser, or its login was finished before")
	}
	if err != nil {
		return auth.External{}, err
	}
	if err := json.Unmarshal(value, &user); err != nil {
		return auth.External{}, fmt.Errorf("decode the user of a login: %w", err)
	}
	return user, nil
}

// Metadata returns what the provider must know of this server, an XML document.
func (l *Logins) Metadata() ([]byte, error) {
	m := l.client(l.cfg.Now()).Metadata()
	for i := range m.SPSSODescriptors {
		r := &m.SPSSODescriptors[i].RoleDescriptor
		signing := r.KeyDescriptors[:0]
		for _, k := range r.KeyDescriptors {
			if k.Use == "signing" { // encrypted responses are refused
				signing = append(signing, k)
			}
		}
		r.KeyDescriptors = signing
	}
	return xml.MarshalIndent(m, "", "  ")
}

// Ends returns when the certificate of the key expires that signs requests, and when the last
// certificate of the provider does: no response is accepted after that.
func (l *Logins) Ends() (key, provider time.Time) {
	return l.cfg.Key.certificate.NotAfter, lastEnd(l.provider.Load())
}

// client returns this server as the provider's client, at a time.
func (l *Logins) client(now time.Time) *saml.ServiceProvider {
	return &saml.ServiceProvider{
		EntityID: l.cfg.EntityID, AcsURL: l.acs, IDPMetadata: l.provider.Load(),
		Key: l.cfg.Key.signer, Certificate: l.cfg.Key.certificate, SignatureMethod: dsig.RSASHA256SignatureMethod,
		AuthnNameIDFormat:                saml.UnspecifiedNameIDFormat,
		AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding}, MetadataOmitValidUntil: true,
		RejectSHA1Signatures: true, RejectUnknownConditions: true, Clock: dsig.NewFakeClockAt(now),
	}
}

// refused returns an auth.ErrUnauthenticated that says what is wrong.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{auth.ErrUnauthenticated}, args...)...)
}
