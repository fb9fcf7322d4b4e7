package s3store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/httpget"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

// Pages are asked for in two ways. The first one of a bucket, and whatever is
// not plain, goes through the SDK, which knows all about endpoints and refusals.
// It shows the way to the bucket, and the pages after it are asked for directly:
// the SDK takes a third of the time that a page takes in all.

// errAskSDK says that a page must be asked for through the SDK.
var errAskSDK = errors.New("not a page and not an error that passes")

// way is how the SDK reaches a bucket. It is immutable.
type way struct {
	target httpget.Target
	host   string // as the Host header has it
	path   string // as it is sent
	scope  sigv4.Scope
}

// knownHeaders are those of the SDK's signed requests that are understood here.
// A request with others is for a bucket of another kind.
var knownHeaders = map[string]bool{
	"accept-encoding": true, "amz-sdk-invocation-id": true, "amz-sdk-request": true, "host": true,
	"x-amz-content-sha256": true, "x-amz-date": true, "x-amz-security-token": true,
}

// wayOf returns the way that a signed request went, or nil if it is none that can
// be gone without the SDK. A nil direct goes none.
func (d *direct) wayOf(r *http.Request, answered *http.Response) *way {
	if d == nil || answered.ProtoMajor != 1 || d.proxied(r) {
		return nil
	}
	const algorithm = "AWS4-HMAC-SHA256 Credential="
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), algorithm)
	credential, rest, ok2 := strings.Cut(rest, ", SignedHeaders=")
	headers, _, ok3 := strings.Cut(rest, ",")
	if !ok || !ok2 || !ok3 || r.URL.Opaque != "" {
		return nil
	}
	for name := range strings.SplitSeq(headers, ";") {
		if !knownHeaders[name] {
			return nil
		}
	}
	parts := strings.Split(credential, "/") // ID/day/region/service/aws4_request
	port, known := map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	if len(parts) < 5 || !known {
		return nil
	}
	w := &way{
		target: httpget.Target{Address: net.JoinHostPort(r.URL.Hostname(), cmp.Or(r.URL.Port(), port)), TLS: r.URL.Scheme == "https"},
		host:   strings.TrimSuffix(cmp.Or(r.Host, r.URL.Host), ":"+port),
		path:   cmp.Or(r.URL.EscapedPath(), "/"),
		scope:  sigv4.Scope{Region: parts[len(parts)-3], Service: parts[len(parts)-2]},
	}
	if !plain(w.host) { // it is written in another way
		return nil
	}
	return w
}

// proxied reports whether a request does not go to its host.
func (d *direct) proxied(r *http.Request) bool {
	if d.proxy == nil {
		return false
	}
	proxy, err := d.proxy(r)
	return proxy != nil || err != nil
}

// plain reports whether text is ASCII that may stand in a header, and holds no
// zone of an address.
func plain(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }) < 0
}

// direct is what asks for pages directly.
type direct struct {
	client      httpget.Client
	proxy       func(*http.Request) (*url.URL, error) // nil: there is none
	credentials aws.CredentialsProvider
}

// newDirect returns nil if the SDK sends its requests in a way of its own.
func newDirect(cfg aws.Config) *direct {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || cfg.Credentials == nil {
		return nil
	}
	t := client.GetTransport()
	d := &direct{proxy: t.Proxy, credentials: cfg.Credentials}
	d.client = httpget.Client{
		Dial: t.DialContext, TLS: t.TLSClientConfig, Handshake: t.TLSHandshakeTimeout,
		Kept: t.MaxIdleConns, KeptFor: t.IdleConnTimeout, MaxBytes: 2 * maxBody,
	}
	return d
}

// fetch lists a page into a, not yet checked. It tries once, as
// long as ctx lasts. errAskSDK is no failure.
func (d *direct) fetch(ctx context.Context, a *answer, w *way, page ask) error {
	c, err := d.credentials.Retrieve(ctx)
	if err != nil {
		return errAskSDK // it tells best what is wrong
	}
	if !plain(c.AccessKeyID) || !plain(c.SessionToken) {
		return errAskSDK
	}
	a.reset()
	var status int
	var id string
	err = d.client.Get(ctx, w.target, d.request(a, w, c, page), func(r *http.Response) error {
		status, id = r.StatusCode, r.Header.Get("X-Amz-Request-Id")
		if status != http.StatusOK {
			return a.readError(r)
		}
		return a.read(r)
	})
	if status != 0 && status != http.StatusOK && status < 500 && status != http.StatusTooManyRequests {
		return errAskSDK
	}
	if err == nil {
		err = a.decode()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case status == 0:
		return err // nothing came back: transient
	case status == http.StatusOK && err == nil, objectstore.Permanent(err):
		return err
	case err == nil:
		err = errors.New("the answer is a page, and says that it is an error")
	}
	return answered(err, status, id)
}

// request returns the signed request for a page, which lives until the next one of
// the same answer.
func (d *direct) request(a *answer, w *way, c aws.Credentials, page ask) []byte {
	q := a.query[:0] // in the order of names
	if page.token != "" {
		q = append(sigv4.AppendEscaped(append(q, "continuation-token="...), page.token), '&')
	}
	q = append(q, "encoding-type=url&list-type=2"...)
	q = strconv.AppendInt(append(q, "&max-keys="...), int64(page.keys), 10)
	q = sigv4.AppendEscaped(append(q, "&prefix="...), page.prefix)
	if start := page.startAfter(); start != "" {
		q = sigv4.AppendEscaped(append(q, "&start-after="...), start)
	}
	a.query = q
	r := append(append(append(append(a.request[:0], "GET "...), w.path...), '?'), q...)
	r = append(append(r, " HTTP/1.1\r\nHost: "...), w.host...)
	r = append(r, "\r\nUser-Agent: "+userAgent+"\r\n"...)
	r = a.signer.AppendHeaders(r, sigv4.Request{Host: w.host, Path: w.path, Query: q, Time: time.Now()},
		sigv4.Credentials{ID: c.AccessKeyID, Secret: c.SecretAccessKey, Token: c.SessionToken}, w.scope)
	a.request = append(r, "\r\n"...)
	return a.request
}

const userAgent = "rangefleet"
