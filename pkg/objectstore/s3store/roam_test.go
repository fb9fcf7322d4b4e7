package s3store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// amazon responds as AWS does for a bucket in one region: with one page, or an object, in
// that region, and with 301 in others.
type amazon struct {
	region string
	asked  []string // host and scope of each request
}

func (a *amazon) Do(r *http.Request) (*http.Response, error) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope = strings.Split(scope, "/")[2]
	a.asked = append(a.asked, r.URL.Host+" "+scope)
	answer := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, Header: http.Header{}, Request: r}
	body := "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents><Key>a+b%2Bc</Key>" +
		"<LastModified>2024-05-06T07:08:09Z</LastModified><ETag>e</ETag><Size>7</Size></Contents></ListBucketResult>"
	if scope != a.region {
		answer.StatusCode = http.StatusMovedPermanently
		answer.Header.Set("X-Amz-Bucket-Region", a.region)
		body = fmt.Sprintf("<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message><Endpoint>bucket.s3.%s.amazonaws.com</Endpoint></Error>", a.region)
	}
	answer.Body = io.NopCloser(bytes.NewReader([]byte(body)))
	return answer, nil
}

// at returns a bucket at AWS, which is looked for in us-east-1.
func at(t *testing.T, a *amazon) *Bucket {
	t.Helper()
	c, err := New(t.Context(), Config{Region: "us-east-1", AccessKeyID: "id", SecretAccessKey: "s"})
	expect.NoError(t, err)
	c.s3 = s3.New(c.s3.Options(), func(o *s3.Options) { o.HTTPClient = a })
	c.direct = nil
	b, err := c.Bucket("bucket")
	expect.NoError(t, err)
	return b
}

// If AWS says that a bucket is in another region, all calls after the first one go there, and
// are signed for it. AWS is believed how it encodes keys and where a listing ends: neither takes
// a further call.
func TestABucketInAnotherRegionOfAWS(t *testing.T) {
	const here, there = "bucket.s3.us-east-1.amazonaws.com us-east-1", "bucket.s3.eu-west-1.amazonaws.com eu-west-1"
	a := &amazon{region: "eu-west-1"}
	b := at(t, a)
	for range 2 {
		var keys []string
		for page, err := range b.List(t.Context(), "", "", objectstore.ListOptions{}) {
			expect.NoError(t, err)
			for _, o := range page {
				keys = append(keys, string(o.Key))
			}
		}
		if !slices.Equal(keys, []string{"a b+c"}) {
			t.Errorf("listed %q", keys)
		}
	}
	expect.NoError(t, b.Put(t.Context(), "k", []byte("body"), objectstore.Sum{}))
	_, err := b.Get(t.Context(), "k", 1000)
	expect.NoError(t, err)
	if want := []string{here, there, there, there, there}; !slices.Equal(a.asked, want) {
		t.Errorf("asked %q, want %q", a.asked, want)
	}
}

// A text that is not the name of a region does not become part of a host name.
func TestARegionThatIsNone(t *testing.T) {
	for _, region := range []string{"evil.example/", "EU", strings.Repeat("a", 64)} {
		a := &amazon{region: region}
		_, err := at(t, a).Get(t.Context(), "k", 10)
		if !errors.Is(err, objectstore.ErrSettings) || len(a.asked) != 1 {
			t.Errorf("%q: %v, after %q", region, err, a.asked)
		}
	}
}
