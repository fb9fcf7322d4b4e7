package stage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// canned is an HTTP client that answers without a network.
type canned struct{ body []byte }

func (c *canned) Do(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/xml"}},
		Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)),
	}, nil
}

func decodeSDK(ctx context.Context, in *Input) (Step, error) {
	http := &canned{}
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1"), UsePathStyle: true, HTTPClient: http,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	return func(page int) error {
		http.body = in.XML[page]
		out, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &in.Bucket})
		if err == nil && len(out.Contents) != PageKeys {
			err = fmt.Errorf("page %d has %d objects", page, len(out.Contents))
		}
		return err
	}, nil
}

func decode(_ context.Context, in *Input) (Step, error) {
	var p listxml.Page
	var body []byte
	return func(page int) error {
		body = append(body[:0], in.XML[page]...) // a copy, since decoding overwrites it
		err := p.Decode(body)
		if err == nil && len(p.Objects) != PageKeys {
			err = fmt.Errorf("page %d has %d objects", page, len(p.Objects))
		}
		return err
	}, nil
}

func buildBatches(_ context.Context, in *Input) (Step, error) {
	b := entry.NewBuilder()
	b.Prepend("", "s3://"+in.Bucket+"/")
	return func(page int) error {
		from := in.Batches[page]
		for i := range from.Len() {
			b.Append(from.Key(i), from.Key(i), from.ETag(i), from.Size(i), from.ModTime(i))
		}
		b.Batch().Release()
		return nil
	}, nil
}

func encodeValues(_ context.Context, in *Input) (Step, error) {
	var value []byte
	var identities []table.Identity
	return func(page int) error {
		identities = table.Identities(identities[:0], in.Batches[page])
		for i := range PageKeys {
			value = table.AppendEntryValue(value[:0], in.Batches[page], i, identities[i])
		}
		return nil
	}, nil
}

// discardFiles is a storage namespace that discards files.
type discardFiles struct{}

func (discardFiles) Put(context.Context, string, []byte, objectstore.Sum) error { return nil }

func writeRanges(ctx context.Context, in *Input) (Step, error) {
	return rangeSteps(ctx, in, discardFiles{}), nil
}

// rangeSteps writes pages into ranges. It starts new ranges after the last page, since the
// keys of a range must increase.
func rangeSteps(ctx context.Context, in *Input, files rangewriter.Files) Step {
	var w *rangewriter.Writer
	var buffers rangewriter.Buffers
	return func(page int) error {
		if page == 0 {
			if w != nil {
				if err := w.Flush(); err != nil {
					return err
				}
				w.Close()
			}
			w = rangewriter.New(ctx, files, partition.DefaultBreaks, rangewriter.Options{Uploads: 2, Buffers: &buffers})
		}
		if err := w.Write(in.Batches[page]); err != nil {
			return err
		}
		if page == len(in.Batches)-1 {
			return w.Flush()
		}
		return nil
	}
}
