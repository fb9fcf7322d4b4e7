package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// transientCodes are error codes that a later try may not meet although their
// HTTP status, below 500, says that the request is at fault: the store gave up
// waiting, the body was damaged on its way, the caller's clock is off, for which the
// SDK makes up from its next call on, or the caller is too fast.
var transientCodes = []string{
	"BadDigest", "IncompleteBody", "OperationAborted", "RequestTimeout", "RequestTimeoutException",
	"RequestTimeTooSkewed", "XAmzContentSHA256Mismatch", "SlowDown", "Throttling", "ThrottlingException", "ThrottledException",
	"RequestThrottled", "RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
	"BandwidthLimitExceeded",
}

// classify tells of an SDK error what objectstore's callers need to know, in the
// words of S3: its code, its message and the request's ID.
func classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if objectstore.Permanent(err) {
		return err // of what is in a page
	}
	var unsent *smithyhttp.RequestSendError
	if errors.As(err, &unsent) {
		return unsent.Err // with the URL, without a status and IDs that nothing sent
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return err // nothing came back: transient
	}
	return answered(err, response.HTTPStatusCode(), response.ServiceRequestID())
}

// answered tells the same of the error that an answer with a status is.
func answered(err error, status int, requestID string) error {
	where := fmt.Sprintf("status %d", status)
	if requestID != "" { // not all stores give one
		where += ", request ID " + requestID
	}
	code, words := "", fmt.Sprintf("%v (%s)", err, where)
	var api smithy.APIError
	if errors.As(err, &api) {
		code = api.ErrorCode()
		words = fmt.Sprintf("%s: %s (%s)", code, api.ErrorMessage(), where)
	}
	if kind := kindOf(status, code); kind != nil {
		return fmt.Errorf("%s: %w", words, kind)
	}
	return errors.New(words)
}

// throttleCodes are those of the transientCodes by which a store asks for fewer
// calls.
var throttleCodes = transientCodes[slices.Index(transientCodes, "SlowDown"):]

// kindOf returns objectstore's error for a response, or nil if it is transient
// and no more is known.
func kindOf(status int, code string) error {
	switch {
	case slices.Contains(throttleCodes, code), status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return objectstore.ErrThrottled
	case slices.Contains(transientCodes, code):
		return nil
	case status == http.StatusNotFound:
		return objectstore.ErrNotFound
	case status == http.StatusRequestTimeout:
		return nil
	case status >= 300 && status < 500:
		return objectstore.ErrRefused
	default:
		return nil
	}
}
