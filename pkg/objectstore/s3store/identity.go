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

// Identity tells which store the service is, in words, and whether it is one that
// is known to answer a LIST after any key with the keys that follow. Of one that is
// not known the words are its endpoint. Unless the endpoint is one of AWS, it sends
// a HEAD request for the bucket; whether the bucket exists, or may be read, does not
// matter.
//
// A store behind a proxy that hides what the store says of itself is not known.
func (c *Client) Identity(ctx context.Context, bucket string) (name string, known bool, err error) {
	endpoint := c.s3.Options().BaseEndpoint
	if isAWS(endpoint) {
		return "Amazon S3", true, nil
	}
	out, err := c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}, once)
	var answer *http.Response
	var refused *awshttp.ResponseError
	switch {
	case err == nil:
		if raw, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok {
			answer = raw.Response
		}
	case errors.As(err, &refused) && isRefusal(refused.HTTPStatusCode()):
		answer = refused.Response.Response
	default:
		return "", false, fmt.Errorf("ask who serves %s: %w", aws.ToString(endpoint), (&Bucket{client: c, name: bucket}).classify(ctx, err))
	}
	if answer != nil && aboutOf(answer).isCeph() {
		return "Ceph", true, nil
	}
	return aws.ToString(endpoint), false, nil
}

// isRefusal reports whether a status is one of a store that answered for good: 0 is
// that of a call without an answer.
func isRefusal(status int) bool { return status > 0 && status < http.StatusInternalServerError }

// cephRequest is the form of the request IDs that radosgw makes: a number, the time,
// the gateway's instance and its zone (RGWRados's trans_id_suffix). Of OpenStack
// Swift's, which are alike, the last two are missing.
var cephRequest = regexp.MustCompile(`^tx[0-9a-f]{21}-[0-9a-f]{10,16}-[0-9a-f]+-.+$`)

// isCeph reports whether an answer is one of Ceph's gateway. Only newer releases than
// Pacific send a Server header.
func (a about) isCeph() bool {
	return strings.HasPrefix(a.server, "Ceph Object Gateway") || cephRequest.MatchString(a.requestID)
}
