package s3store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// guarded returns an HTTP client like the SDK's own that connects only where the guard lets
// it, or to the proxy if there is one, and follows no redirect: a signature is valid for one
// host only.
func guarded(sdk aws.HTTPClient, g *guard, proxy string) (*http.Client, error) {
	client, ok := sdk.(*awshttp.BuildableClient)
	if !ok {
		return nil, fmt.Errorf("the SDK's HTTP client is a %T, whose connections cannot be guarded", sdk)
	}
	transport := client.GetTransport()
	transport.DialContext = g.dialing(*client.GetDialer())
	transport.Proxy = nil
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil {
			return nil, errors.New("s3.proxy is no URL") // without its text, which may hold a password
		}
		transport.Proxy = http.ProxyURL(u)
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       client.GetTimeout(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// plainRequests stops the SDK from signing Accept-Encoding, which the front ends of some
// stores rewrite, and keeps the bodies of errors. The transport does not send the header
// either.
func plainRequests(stack *middleware.Stack) error {
	if _, err := stack.Finalize.Remove("DisableAcceptEncodingGzip"); err != nil {
		return err
	}
	return keepErrorBodies(stack)
}

func keepErrorBodies(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("KeepErrorBody", keepErrorBody), middleware.After)
}

// maxErrorBody is how many bytes of an error's body are read.
const maxErrorBody = 64 << 10

// errorBody is the body of an error, which stays readable after the SDK has read it.
type errorBody struct{ *bytes.Reader }

// Close implements io.Closer.
func (errorBody) Close() error { return nil }

func keepErrorBody(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok || response.StatusCode >= 200 && response.StatusCode < 300 {
		return out, metadata, err
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody)) // a part of it is enough
	_ = response.Body.Close()
	response.Body = errorBody{bytes.NewReader(text)}
	return out, metadata, nil
}

// errorBodyDetails are the fields of an error's body.
type errorBodyDetails struct {
	Code, Message    string
	Endpoint, Region string
}

// errorDetails returns the fields of the body of an error response. They are empty if it
// is not XML.
func errorDetails(r *awshttp.ResponseError) (d errorBodyDetails) {
	if body, ok := r.Response.Body.(errorBody); ok {
		_, _ = body.Seek(0, io.SeekStart)
		_ = xml.NewDecoder(body).Decode(&d) // without them the status says enough
	}
	return d
}

// credentials returns those with which calls for the bucket are made.
func (c *calls) credentials() aws.CredentialsProvider {
	if c.session != nil {
		return c.session
	}
	return c.client.credentials
}

// as is an option of all SDK calls for the bucket: as whom and in which region they are made.
func (c *calls) as(o *s3.Options) {
	if c.session != nil {
		o.Credentials = c.session
	}
	if region := c.facts.region.Load(); region != nil {
		o.Region = *region
	}
}

// call makes an SDK call. If AWS says that the bucket is in another region, it makes the
// call again in that region, and so are all later calls. The errors are objectstore's.
func (c *calls) call(ctx context.Context, do func() error) error {
	err := do()
	if region := c.movedTo(err); region != "" {
		c.facts.region.Store(&region)
		err = do()
	}
	if err != nil {
		return c.classify(ctx, err)
	}
	return nil
}

// withSums makes the SDK sign the given SHA-256 sum of the body, and send it as the
// object's checksum if checksum is set. Without this the SDK would compute the sum, unless
// there is TLS.
func withSums(in *s3.PutObjectInput, sum [sha256.Size]byte, checksum bool) func(*s3.Options) {
	if checksum {
		in.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	}
	signed := middleware.InitializeMiddlewareFunc("KnownSum", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(sum[:])), in)
	})
	return s3.WithAPIOptions(func(stack *middleware.Stack) error { return stack.Initialize.Add(signed, middleware.After) })
}

// blamesChecksum reports whether a store may have refused an object because of the
// checksum header.
func blamesChecksum(err error) bool {
	words := strings.ToLower(err.Error())
	return strings.Contains(words, "checksum") || strings.Contains(words, "notimplemented")
}
