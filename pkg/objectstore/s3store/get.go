package s3store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// trusted is the largest Content-Length, in bytes, for which memory is allocated at once.
// A longer body gets its memory as it arrives.
const trusted = 64 << 20

// Get implements objectstore.Store.
func (b *Bucket) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	out, _, err := b.calls.getObject(ctx, &s3.GetObjectInput{Key: &key})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", b.calls.uri(key), err)
	}
	defer out.Body.Close()
	size := aws.ToInt64(out.ContentLength)
	if size > limit {
		return nil, fmt.Errorf("get %s: %w", b.calls.uri(key), objectstore.TooLarge(size, limit))
	}
	body, err := read(out.Body, size, limit+1)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", b.calls.uri(key), b.calls.classify(ctx, err))
	}
	if got := int64(len(body)); got > limit {
		return nil, fmt.Errorf("get %s: %w", b.calls.uri(key), objectstore.TooLarge(got, limit))
	}
	return body, nil
}

// GetRange implements objectstore.Store. If the store does not support ranges and sends
// the whole object, GetRange reads it as far as it has to.
func (b *Bucket) GetRange(ctx context.Context, key string, offset, n int64) (part []byte, size int64, err error) {
	wanted := fmt.Sprintf("bytes=%d-%d", offset, offset+n-1)
	out, sdk, err := b.calls.getObject(ctx, &s3.GetObjectInput{Key: &key, Range: &wanted})
	if offset == 0 && isInvalidRange(sdk) { // the object is empty
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get %s of %s: %w", wanted, b.calls.uri(key), err)
	}
	defer out.Body.Close()
	if part, size, err = readRange(out, offset, n); err != nil {
		return nil, 0, fmt.Errorf("read %s of %s: %w", wanted, b.calls.uri(key), b.calls.classify(ctx, err))
	}
	return part, size, nil
}

// getObject makes a GetObject call for an object of the bucket. It returns an error in two
// forms: the SDK's, and objectstore's.
func (c *calls) getObject(ctx context.Context, in *s3.GetObjectInput) (out *s3.GetObjectOutput, sdk, err error) {
	in.Bucket = &c.name
	err = c.call(ctx, func() error {
		out, sdk = c.client.s3.GetObject(ctx, in, c.as)
		return sdk
	})
	if err == nil && isCompressed(out.ContentEncoding) {
		_ = out.Body.Close()
		err = fmt.Errorf("the answer has Content-Encoding %q, though the object was stored without and nobody asked for it; "+
			"have whatever lies between here and the store leave it as it is: %w", *out.ContentEncoding, objectstore.ErrSettings)
	}
	return out, sdk, err
}

// isCompressed reports whether a Content-Encoding says that a body is not the object's
// own. aws-chunked does not: it is about the transfer of an upload, though some stores keep
// it.
func isCompressed(encoding *string) bool {
	switch strings.ToLower(strings.TrimSpace(aws.ToString(encoding))) {
	case "", "identity", "aws-chunked":
		return false
	default:
		return true
	}
}

// isInvalidRange reports whether a store says that an object has no byte of the
// requested range.
func isInvalidRange(err error) bool {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && response.HTTPStatusCode() == http.StatusRequestedRangeNotSatisfiable
}

// readRange reads the n bytes from an offset on, or as many as the object has, from a
// response. It also returns the object's size.
func readRange(out *s3.GetObjectOutput, offset, n int64) (part []byte, size int64, err error) {
	length := aws.ToInt64(out.ContentLength)
	if header := aws.ToString(out.ContentRange); header != "" {
		var first, last int64
		if _, err := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &size); err != nil {
			return nil, 0, fmt.Errorf("the store's answer has Content-Range %q", header)
		}
		length = last - first + 1
		if first != offset || length != min(n, size-offset) {
			return nil, 0, fmt.Errorf("the store's answer has Content-Range %q", header)
		}
	} else { // the whole object
		size = length
		length = min(n, size-offset)
		if length < 0 {
			return nil, 0, fmt.Errorf("%w: the object has %d bytes", objectstore.ErrRefused, size)
		}
		if n, err := io.Copy(io.Discard, io.LimitReader(out.Body, offset)); err != nil || n < offset {
			return nil, 0, cmp.Or(err, io.ErrUnexpectedEOF)
		}
	}
	part, err = read(out.Body, length, length)
	if err == nil && int64(len(part)) < length {
		err = io.ErrUnexpectedEOF
	}
	return part, size, err
}

// read reads a body of about size bytes, but no more than most.
func read(body io.Reader, size, most int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(0, size), most, trusted)) + bytes.MinRead)
	_, err := b.ReadFrom(io.LimitReader(body, most))
	return b.Bytes(), err
}
