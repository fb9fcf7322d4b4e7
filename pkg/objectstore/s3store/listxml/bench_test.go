package listxml_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// BenchmarkDecode decodes one page of 1000 keys, and, to compare, has other
// decoders do it. Copying the page, for it is decoded in place, counts.
func BenchmarkDecode(b *testing.B) {
	const n = 1000
	body := usual(n)
	run := func(name string, decode func() (objects int, err error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if objects, err := decode(); err != nil || objects != n {
					b.Fatal(objects, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
		})
	}
	scratch := make([]byte, len(body))
	run("copy", func() (int, error) { return n * copy(scratch, body) / len(body), nil })
	var p listxml.Page
	run("listxml", func() (int, error) {
		copy(scratch, body)
		err := errors.Join(p.Decode(scratch), p.Read(listxml.Query))
		return len(p.Objects), err
	})
	odd := []byte(strings.Replace(string(body), "<Name>", "<!-- odd --><Name>", 1))
	oddScratch := make([]byte, len(odd))
	run("listxml-odd", func() (int, error) {
		copy(oddScratch, odd)
		err := errors.Join(p.Decode(oddScratch), p.Read(listxml.Query))
		return len(p.Objects), err
	})
	run("encoding-xml", func() (int, error) {
		var doc struct {
			Contents []struct {
				Key, ETag, LastModified string
				Size                    int64
			}
		}
		err := xml.Unmarshal(body, &doc)
		return len(doc.Contents), err
	})
	client := s3.New(s3.Options{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), HTTPClient: canned(body),
	})
	run("sdk", func() (int, error) {
		out, err := client.ListObjectsV2(b.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
		if err != nil {
			return 0, err
		}
		return len(out.Contents), nil
	})
}

// canned is a transport that answers every request with the same page.
type canned []byte

func (c canned) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/xml"}},
		Body: io.NopCloser(strings.NewReader(string(c))), ContentLength: int64(len(c)),
	}, nil
}
