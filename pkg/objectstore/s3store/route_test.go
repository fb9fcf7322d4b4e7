package s3store

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

const signature = "AWS4-HMAC-SHA256 Credential=id/20240506/eu-west-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"

// signed returns a request as the SDK signs it.
func signed(t *testing.T, to string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, http.NoBody)
	expect.NoError(t, err)
	r.Header.Set("Authorization", signature)
	return r
}

// TestRoute checks which requests can be made without the SDK, and where they go.
func TestRoute(t *testing.T) {
	for to, want := range map[string]struct{ url, host, path string }{
		"http://h:9000/bucket?list-type=2": {"http://h:9000/bucket", "h:9000", "/bucket"},
		"http://h:80/b%2Fc":                {"http://h:80/b%2Fc", "h", "/b%2Fc"},
		"https://b.s3.amazonaws.com?x":     {"https://b.s3.amazonaws.com", "b.s3.amazonaws.com", "/"},
		"https://[::1]:80/b":               {"https://[::1]:80/b", "[::1]:80", "/b"},
		"http://[fe80::1%25eth0]:9000/b":   {}, // zones are not sent
		"http://b\u00fccher.example/b":     {}, // net/http sends another name
		"unix://h/b":                       {},
	} {
		got := routeOf(signed(t, to))
		if got == nil {
			if want.url != "" {
				t.Errorf("%s: no route", to)
			}
			continue
		}
		if got.url.String() != want.url || got.host != want.host || got.path != want.path || got.scope != (sigv4.Scope{Region: "eu-west-1", Service: "s3"}) {
			t.Errorf("%s: %+v, want %+v", to, got, want)
		}
	}
}

// TestNoRoute checks which signatures are those of other kinds of buckets.
func TestNoRoute(t *testing.T) {
	for name, tc := range map[string]struct {
		authorization string
		route         bool
	}{
		"the usual":          {signature, true},
		"not signed":         {"", false},
		"with other headers": {strings.Replace(signature, "x-amz-date", "x-amz-request-payer", 1), false},
	} {
		r := signed(t, "http://h/b")
		r.Header.Set("Authorization", tc.authorization)
		if route := routeOf(r); (route != nil) != tc.route {
			t.Errorf("%s: %+v, want a route: %v", name, route, tc.route)
		}
	}
}

// Credentials that no header can hold are left to the SDK, which reports them.
func TestCredentialsThatAreNoHeader(t *testing.T) {
	for _, c := range []aws.Credentials{{AccessKeyID: "id\r\nX: y"}, {AccessKeyID: "id", SessionToken: "t\n"}, {AccessKeyID: "\u00fc"}} {
		by := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
		if err := new(direct).fetch(t.Context(), &answer{}, &route{}, by, ask{}); !errors.Is(err, errAskSDK) {
			t.Errorf("%q: %v", c.AccessKeyID, err)
		}
	}
}
