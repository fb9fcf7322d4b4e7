package s3store

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/httpget"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

// signed returns a request as the SDK signs it.
func signed(t *testing.T, to string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, http.NoBody)
	expect.NoError(t, err)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=id/20240506/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0")
	return r
}

// TestWay tells which requests can be made without the SDK, and how.
func TestWay(t *testing.T) {
	scope := sigv4.Scope{Region: "eu-west-1", Service: "s3"}
	for to, want := range map[string]*way{
		"http://h:9000/bucket?list-type=2": {httpget.Target{Address: "h:9000"}, "h:9000", "/bucket", scope},
		"http://h:80/b%2Fc":                {httpget.Target{Address: "h:80"}, "h", "/b%2Fc", scope},
		"https://b.s3.amazonaws.com?x":     {httpget.Target{Address: "b.s3.amazonaws.com:443", TLS: true}, "b.s3.amazonaws.com", "/", scope},
		"https://[::1]:80/b":               {httpget.Target{Address: "[::1]:80", TLS: true}, "[::1]:80", "/b", scope},
		"http://[fe80::1%25eth0]:9000/b":   nil, // zones are not sent
		"http://b\u00fccher.example/b":     nil, // net/http sends another name
		"unix://h/b":                       nil,
	} {
		d := &direct{}
		if got := d.wayOf(signed(t, to), &http.Response{ProtoMajor: 1}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", to, got, want)
		}
	}
}

// TestNoWay tells which requests cannot.
func TestNoWay(t *testing.T) {
	plain, http1 := func(*http.Request) {}, &http.Response{ProtoMajor: 1}
	through := func(proxy *url.URL, err error) *direct {
		return &direct{proxy: func(*http.Request) (*url.URL, error) { return proxy, err }}
	}
	for name, tc := range map[string]struct {
		direct   *direct
		change   func(*http.Request)
		answered *http.Response
		way      bool
	}{
		"the usual":             {through(nil, nil), plain, http1, true},
		"none are":              {nil, plain, http1, false},
		"through a proxy":       {through(&url.URL{Host: "proxy"}, nil), plain, http1, false},
		"through a wrong proxy": {through(nil, errors.New("no URL")), plain, http1, false},
		"by HTTP/2":             {&direct{}, plain, &http.Response{ProtoMajor: 2}, false},
		"not signed":            {&direct{}, func(r *http.Request) { r.Header.Del("Authorization") }, http1, false},
		"with other headers": {&direct{}, func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host;x-amz-request-payer, Signature=0")
		}, http1, false},
	} {
		r := signed(t, "http://h/b")
		tc.change(r)
		if way := tc.direct.wayOf(r, tc.answered); (way != nil) != tc.way {
			t.Errorf("%s: %+v, want one: %v", name, way, tc.way)
		}
	}
}

// Credentials that no header can hold are the SDK's to complain of.
func TestCredentialsThatAreNoHeader(t *testing.T) {
	for _, c := range []aws.Credentials{{AccessKeyID: "id\r\nX: y"}, {AccessKeyID: "id", SessionToken: "t\n"}, {AccessKeyID: "\u00fc"}} {
		d := &direct{credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })}
		if err := d.fetch(t.Context(), &answer{}, &way{}, ask{}); !errors.Is(err, errAskSDK) {
			t.Errorf("%q: %v", c.AccessKeyID, err)
		}
	}
}
