package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

// A page is requested in one of two ways. The first page of a bucket, and every
// request that the store refuses, goes through the SDK, which knows endpoints and
// error codes. It reveals the route to the bucket, and later pages are requested
// directly: the SDK would take a third of the time that a page takes in all.

// errAskSDK says that a page must be requested through the SDK.
var errAskSDK = errors.New("not a page, and not a transient error")

// direct requests pages without the SDK. It is safe for concurrent use.
type direct struct {
	transport http.RoundTripper // the SDK's; it follows no redirect
}

// fetch requests a page once and decodes it into a, without checking it. A request
// that the store refuses is errAskSDK: the SDK reports such errors best.
func (d *direct) fetch(ctx context.Context, a *answer, r *route, by aws.CredentialsProvider, page ask) error {
	c, err := by.Retrieve(ctx)
	if err != nil || !plain(c.AccessKeyID) || !plain(c.SessionToken) {
		return errAskSDK
	}
	a.reset()
	status, id, err := d.send(d.request(ctx, a, r, c, page), a)
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
		return fmt.Errorf("GET from %s: %w", r.host, err) // no response: transient
	case status == http.StatusOK && err == nil, objectstore.Permanent(err):
		return err
	case err == nil:
		err = errors.New("the answer is a page, and its status says that it is an error")
	}
	return responseError(err, status, id)
}

// send sends a request and reads the body of the response into a. The status is 0
// if there is no response.
func (d *direct) send(request *http.Request, a *answer) (status int, id string, err error) {
	response, err := d.transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		err = a.read(response)
	} else {
		err = a.readError(response)
	}
	return response.StatusCode, response.Header.Get("X-Amz-Request-Id"), err
}

// request returns the signed request for a page.
func (d *direct) request(ctx context.Context, a *answer, r *route, c aws.Credentials, page ask) *http.Request {
	a.query = appendQuery(a.query[:0], page)
	date, authorization := a.signer.Sign(sigv4.Request{Host: r.host, Path: r.path, Query: a.query, Time: time.Now()},
		sigv4.Credentials{ID: c.AccessKeyID, Secret: c.SecretAccessKey, Token: c.SessionToken}, r.scope)
	header := http.Header{
		"User-Agent":           {userAgent},
		"X-Amz-Content-Sha256": {sigv4.EmptyHash},
		"X-Amz-Date":           {string(date)},
		"Authorization":        {string(authorization)},
	}
	if c.SessionToken != "" {
		header["X-Amz-Security-Token"] = []string{c.SessionToken}
	}
	to := r.url
	to.RawQuery = string(a.query)
	request := &http.Request{Method: http.MethodGet, URL: &to, Host: r.host, Header: header}
	return request.WithContext(ctx)
}

// appendQuery appends the query for a page, its parameters sorted by name.
func appendQuery(q []byte, page ask) []byte {
	if page.token != "" {
		q = append(sigv4.AppendEscaped(append(q, "continuation-token="...), page.token), '&')
	}
	q = append(q, "encoding-type=url&list-type=2"...)
	q = strconv.AppendInt(append(q, "&max-keys="...), int64(page.keys), 10)
	q = sigv4.AppendEscaped(append(q, "&prefix="...), page.prefix)
	if start := page.startAfter(); start != "" {
		q = sigv4.AppendEscaped(append(q, "&start-after="...), start)
	}
	return q
}

const userAgent = "rangefleet"
