package sigv4_test

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/sigv4"
)

// TestTwin compares signatures with those of the SDK, by one signer whose
// credentials, scopes and days change.
func TestTwin(t *testing.T) {
	const seed = 1
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, seed))
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	var signer sigv4.Signer
	for range 500 {
		now := time.Date(2026, 1, 1+r.IntN(3), r.IntN(24), 3, r.IntN(60), 0, time.FixedZone("", 3600))
		c := sigv4.Credentials{ID: one("AKIA", "id/with/slash"), Secret: one("secret", "a+/="), Token: one("", "", "token==")}
		scope := sigv4.Scope{Region: one("us-east-1", "default"), Service: one("s3", "s3-object-lambda")}
		text := make([]rune, r.IntN(30))
		for i := range text {
			text[i] = []rune("aZ09-_.~ +%/=&?#é\u0001\n😀\ue000")[r.IntN(20)]
		}
		query := sigv4.AppendEscaped([]byte("list-type=2&prefix="), string(text))
		host := one("localhost:9000", "bucket.s3.eu-central-1.amazonaws.com")
		path := one("/", "/bucket", "/bucket/a%20b")

		date, authorization := signer.Sign(sigv4.Request{Host: host, Path: path, Query: query, Time: now}, c, scope)
		want := bySDK(t, "http://"+host+path+"?"+string(query), c, scope, now)
		if string(date) != want.Get("X-Amz-Date") || string(authorization) != want.Get("Authorization") {
			t.Fatalf("query %q: %s %s, want\n%s", query, date, authorization, want)
		}
	}
}

// bySDK returns the headers of a request that the SDK signed.
func bySDK(t *testing.T, url string, c sigv4.Credentials, scope sigv4.Scope, now time.Time) http.Header {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Content-Sha256", sigv4.EmptyHash)
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: c.ID, SecretAccessKey: c.Secret, SessionToken: c.Token},
		req, sigv4.EmptyHash, scope.Service, scope.Region, now, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		t.Fatal(err)
	}
	return req.Header
}

func TestAllocations(t *testing.T) {
	var signer sigv4.Signer
	r := sigv4.Request{Host: "h", Path: "/", Query: []byte("list-type=2"), Time: time.Now()}
	c := sigv4.Credentials{ID: "id", Secret: "s", Token: "t"}
	n := testing.AllocsPerRun(100, func() { signer.Sign(r, c, sigv4.Scope{Region: "r", Service: "s3"}) })
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSign(b *testing.B) {
	var signer sigv4.Signer
	r := sigv4.Request{Host: "localhost:9000", Path: "/bucket", Query: []byte("list-type=2&prefix=a&start-after=b"), Time: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		signer.Sign(r, sigv4.Credentials{ID: "id", Secret: "s"}, sigv4.Scope{Region: "r", Service: "s3"})
	}
}
