package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
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
	url   url.URL // without a query
	host  string  // as the Host header has it
	scope sigv4.Scope
}

// knownHeaders are those of the SDK's signed requests that are understood here.
// A request with others is for a bucket of another kind.
var knownHeaders = map[string]bool{
	"accept-encoding": true, "amz-sdk-invocation-id": true, "amz-sdk-request": true, "host": true,
	"x-amz-content-sha256": true, "x-amz-date": true, "x-amz-security-token": true,
}

// wayOf returns the way that a signed request goes, or nil if it is none that
// can be gone without the SDK.
func wayOf(r *http.Request) *way {
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
	if len(parts) < 5 {
		return nil
	}
	w := &way{url: *r.URL, host: r.Host, scope: sigv4.Scope{Region: parts[len(parts)-3], Service: parts[len(parts)-2]}}
	w.url.RawQuery = ""
	if w.host == "" {
		w.host = w.url.Host
	}
	w.host = strings.TrimSuffix(w.host, map[string]string{"http": ":80", "https": ":443"}[w.url.Scheme])
	return w
}

// direct is what asks for pages directly.
type direct struct {
	transport   *http.Transport
	credentials aws.CredentialsProvider
	maxKeys     string // as the query has it; "" is the store's limit
}

// newDirect returns nil if the SDK sends its requests in a way of its own.
func newDirect(cfg aws.Config, pageSize int32) *direct {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || cfg.Credentials == nil {
		return nil
	}
	d := &direct{transport: client.GetTransport(), credentials: cfg.Credentials}
	d.transport.DisableCompression = true
	d.transport.ReadBufferSize = readBuffer
	if pageSize > 0 {
		d.maxKeys = fmt.Sprint(pageSize)
	}
	return d
}

// readBuffer is what a connection reads at least at once, in bytes: bodies are
// sent in many small chunks.
const readBuffer = 32 << 10

// fetch lists the page after a key into a, not yet checked. It tries once, as
// long as ctx lasts. errAskSDK is no failure.
func (d *direct) fetch(ctx context.Context, a *answer, w *way, prefix, after string) error {
	c, err := d.credentials.Retrieve(ctx)
	if err != nil {
		return errAskSDK // it tells best what is wrong
	}
	a.reset()
	response, err := d.transport.RoundTrip(d.request(ctx, a, w, c, prefix, after))
	if err != nil {
		return classify(ctx, err)
	}
	defer response.Body.Close()
	status := response.StatusCode
	if status != http.StatusOK && status < 500 && status != http.StatusTooManyRequests {
		return errAskSDK
	}
	if err = a.read(response.Body); err == nil {
		err = a.decode()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case status == http.StatusOK && err == nil, objectstore.Permanent(err):
		return err
	case err == nil:
		err = errors.New("the answer is a page, and says that it is an error")
	}
	return answered(err, status, response.Header.Get("X-Amz-Request-Id"))
}

// request returns the signed request for a page.
func (d *direct) request(ctx context.Context, a *answer, w *way, c aws.Credentials, prefix, after string) *http.Request {
	q := append(a.query[:0], "encoding-type=url&list-type=2"...) // in the order of names
	if d.maxKeys != "" {
		q = append(append(q, "&max-keys="...), d.maxKeys...)
	}
	q = sigv4.AppendEscaped(append(q, "&prefix="...), prefix)
	if start := startAfter(prefix, after); start != "" {
		q = sigv4.AppendEscaped(append(q, "&start-after="...), start)
	}
	a.query = q
	signed := sigv4.Request{Host: w.host, Path: w.url.EscapedPath(), Query: q, Time: sigv4.Time(time.Now())}
	auth := a.signer.Authorization(signed, sigv4.Credentials{ID: c.AccessKeyID, Secret: c.SecretAccessKey, Token: c.SessionToken}, w.scope)

	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{}, Host: w.host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 6),
	}).WithContext(ctx)
	*r.URL = w.url
	r.URL.RawQuery = string(q)
	values := make([]string, 0, 5)
	set := func(name, value string) {
		values = append(values, value)
		r.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("User-Agent", userAgent)
	set("X-Amz-Content-Sha256", sigv4.EmptyHash)
	set("X-Amz-Date", signed.Time)
	if c.SessionToken != "" {
		set("X-Amz-Security-Token", c.SessionToken)
	}
	set("Authorization", auth)
	return r
}

const userAgent = "rangefleet"

// startAfter returns what to ask a store to start after. Every key with the
// prefix lies after whatever sorts before the prefix; some stores stumble over
// such a start.
func startAfter(prefix, after string) string {
	if after >= prefix {
		return after
	}
	return ""
}
