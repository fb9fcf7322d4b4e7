package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Identity returns the name of the store, and whether the store is known to answer a LIST
// after any key with the keys that follow. The name of an unknown store is its endpoint.
// Unless the endpoint is one of AWS, Identity sends a HEAD request for the bucket. Whether
// the bucket exists, or may be read, does not matter.
//
// A store behind a proxy that hides its headers is unknown.
func (b *Bucket) Identity(ctx context.Context) (name string, known bool, err error) {
	c := b.calls
	endpoint := c.client.s3.Options().BaseEndpoint
	if isAWS(endpoint) {
		return "Amazon S3", true, nil
	}
	out, err := c.client.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &c.name}, c.as)
	var answer *smithyhttp.Response
	refused, isAnswer := errors.AsType[*awshttp.ResponseError](err)
	switch {
	case err == nil:
		answer, _ = awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response)
	case isAnswer && refused.HTTPStatusCode() > 0 && refused.HTTPStatusCode() < http.StatusInternalServerError: // 0: no response
		answer = refused.Response
	default:
		return "", false, fmt.Errorf("identify the store at %s: %w", aws.ToString(endpoint), c.classify(ctx, err))
	}
	if answer != nil && aboutOf(answer.Response).isCeph() {
		return "Ceph", true, nil
	}
	return aws.ToString(endpoint), false, nil
}

// cephRequest matches the request IDs of radosgw: a number, the time, the gateway's
// instance and its zone (RGWRados's trans_id_suffix). Those of OpenStack Swift are similar,
// but lack the last two parts.
var cephRequest = regexp.MustCompile(`^tx[0-9a-f]{21}-[0-9a-f]{10,16}-[0-9a-f]+-.+$`)

// isCeph reports whether a response is from Ceph's gateway. Only releases after Pacific
// send a Server header.
func (a about) isCeph() bool {
	return strings.HasPrefix(a.server, "Ceph Object Gateway") || cephRequest.MatchString(a.requestID)
}
