package s3store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// transientCodes are error codes of transient errors whose HTTP status, below 500, says
// that the request is at fault: the store gave up waiting, the body was damaged on its
// way, the caller's clock is wrong, which the SDK corrects for its next call, or the
// caller sends too many requests.
var transientCodes = []string{
	"BadDigest", "IncompleteBody", "OperationAborted", "RequestTimeout", "RequestTimeoutException",
	"RequestTimeTooSkewed", "XAmzContentSHA256Mismatch", "SlowDown", "Throttling", "ThrottlingException", "ThrottledException",
	"RequestThrottled", "RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
	"BandwidthLimitExceeded",
}

// missingCodes are the error codes for a bucket or key that does not exist. The SDK uses
// the last one for a response without a code, such as that to a HEAD. Other codes with
// status 404 are about something else, such as a user that does not exist.
var missingCodes = []string{"NoSuchBucket", "NoSuchKey", "", "NotFound"}

// wrongKeyCodes are the error codes for credentials that the store does not accept.
var wrongKeyCodes = []string{"InvalidAccessKeyId", "SignatureDoesNotMatch"}

// staleCodes are the error codes for credentials of a session that has ended.
var staleCodes = []string{"ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidTokenId", "TokenRefreshRequired", "InvalidAccessKeyId"}

// errLate is the error for a page that did not arrive in time.
var errLate = errors.New("no answer in time")

// classify turns an error of the SDK into one of objectstore, with S3's code and message
// and the ID of the request.
func (c *calls) classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if assuming, ok := errors.AsType[*assumeError](err); ok {
		return assuming
	}
	if objectstore.Permanent(err) {
		return err // about the content of a page
	}
	if unsent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		return c.unreachable(unsent.Err) // with the URL, and without the status and the IDs: there was no response
	}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok {
		return err // no response: transient
	}
	details, status := errorDetails(response), response.HTTPStatusCode()
	if elsewhere := elsewhere(response, details); elsewhere != "" {
		return fmt.Errorf("%s: %s: %w", wordsOf(err, status, response.ServiceRequestID()), elsewhere, objectstore.ErrSettings)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && c.session != nil && slices.Contains(staleCodes, api.ErrorCode()) && c.session.outlived(signedWith(response)) {
		return errors.New(wordsOf(err, status, response.ServiceRequestID())) // transient
	}
	return responseError(err, status, response.ServiceRequestID())
}

// signedWith returns the access key with which the request of a response was signed, "" if the
// response does not say.
func signedWith(response *awshttp.ResponseError) string {
	if response.Response == nil || response.Response.Request == nil {
		return ""
	}
	_, credential, _ := strings.Cut(response.Response.Request.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}

// responseError returns objectstore's error for a response with a status that is no page
// because of err.
func responseError(err error, status int, requestID string) error {
	odd, isOdd := errors.AsType[*oddAnswer](err)
	switch {
	case isOdd && status == http.StatusOK:
		return fmt.Errorf("%w (%s)", odd, placeOf(status, requestID))
	case isOdd: // the status says enough about an error without a message of the store
		err = errors.New(http.StatusText(status))
	}
	words, code := wordsOf(err, status, requestID), ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	if slices.Contains(wrongKeyCodes, code) {
		words += ": check s3.access_key_id and s3.secret_access_key, or what the AWS SDK uses in their place"
	}
	if kind := kindOf(status, code); kind != nil {
		return fmt.Errorf("%s: %w", words, kind)
	}
	return errors.New(words)
}

// maxWords is how many bytes of a store's message an error repeats.
const maxWords = 1 << 10

// wordsOf returns the store's code and message, or else err's text, and the status.
func wordsOf(err error, status int, requestID string) string {
	words := err.Error()
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		words = api.ErrorCode()
		if m := api.ErrorMessage(); m != "" { // the response to a HEAD has none
			words += ": " + m
		}
	}
	return fmt.Sprintf("%s (%s)", shortened(words), placeOf(status, requestID))
}

func placeOf(status int, requestID string) string {
	if requestID == "" { // some stores send none
		return fmt.Sprintf("status %d", status)
	}
	return fmt.Sprintf("status %d, request ID %s", status, shortened(requestID))
}

// shortened returns text, cut to maxWords bytes and marked with "..." if it is longer.
func shortened(text string) string {
	if len(text) <= maxWords {
		return text
	}
	n := maxWords
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "..."
}

// throttleCodes are the transientCodes with which a store asks for fewer calls.
var throttleCodes = transientCodes[slices.Index(transientCodes, "SlowDown"):]

// kindOf returns objectstore's error for a response, or nil if it is transient for an
// unknown reason.
func kindOf(status int, code string) error {
	switch {
	case slices.Contains(throttleCodes, code), status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return objectstore.ErrThrottled
	case status == http.StatusGatewayTimeout, status == http.StatusRequestTimeout, strings.HasPrefix(code, "RequestTimeout"):
		return errLate
	case slices.Contains(transientCodes, code):
		return nil
	case status == http.StatusNotFound && slices.Contains(missingCodes, code):
		return objectstore.ErrNotFound
	case status >= 300 && status < 500, status == http.StatusNotImplemented:
		return objectstore.ErrRefused
	default:
		return nil
	}
}

// isLate reports whether err is about a page that did not arrive in time.
func isLate(err error) bool {
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return false // by the caller; the connection, which is cut for that, may report a timeout
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return true
	case isOp && op.Op == "dial":
		return false // the page was not requested
	default:
		network, ok := errors.AsType[net.Error](err)
		return ok && network.Timeout()
	}
}

func isNotFound(err error) bool { return errors.Is(err, objectstore.ErrNotFound) }

// elsewhere returns a sentence that says where a response locates the bucket, and which
// setting to change; "" if the response does not say that the bucket is elsewhere.
func elsewhere(r *awshttp.ResponseError, details errorBodyDetails) string {
	region, status := regionOf(r, details), r.HTTPStatusCode()
	if status < 300 || status > 399 {
		if details.Code != "AuthorizationHeaderMalformed" || region == "" {
			return ""
		}
		return fmt.Sprintf("the bucket is in region %q: set s3.region", region)
	}
	var places, set []string
	if region != "" {
		places, set = append(places, fmt.Sprintf("in region %q", region)), append(set, "s3.region")
	}
	if endpoint := details.Endpoint; endpoint != "" {
		places, set = append(places, fmt.Sprintf("at endpoint %q", shortened(endpoint))), append(set, "s3.endpoint")
	} else if location := r.Response.Header.Get("Location"); location != "" {
		places, set = append(places, fmt.Sprintf("at %q", shortened(location))), append(set, "s3.endpoint")
	}
	if len(places) == 0 {
		return "the store redirects the request and does not say where to: set s3.endpoint and s3.region"
	}
	return fmt.Sprintf("redirects are not followed, as they would not be signed; the bucket is %s: set %s",
		strings.Join(places, " "), strings.Join(set, " or "))
}

// regionOf returns the region in which a response locates the bucket, or "".
func regionOf(r *awshttp.ResponseError, details errorBodyDetails) string {
	if region := r.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return region
	}
	return details.Region
}

// movedTo returns the region in which AWS locates the bucket, if that is not the region in
// which the call was made, and "" otherwise. It is always "" for other stores: only AWS's
// hosts are known by region, and may be trusted with a signature.
func (c *calls) movedTo(err error) string {
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	if !ok || !c.client.roams || c.facts.region.Load() != nil {
		return ""
	}
	details := errorDetails(response)
	region := regionOf(response, details)
	if elsewhere(response, details) == "" || region == c.client.s3.Options().Region || !isRegion(region) {
		return ""
	}
	return region
}

// isRegion reports whether text may be the name of a region, which becomes part of a host
// name.
func isRegion(text string) bool {
	return text != "" && len(text) <= 63 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// unreachable adds advice to the error of a connection that a retry cannot mend, and makes
// it objectstore.ErrSettings. It returns other errors unchanged.
func (c *calls) unreachable(err error) error {
	var advice string
	dns, _ := errors.AsType[*net.DNSError](err)
	switch {
	case isA[*refusedDial](err):
		return fmt.Errorf("%w: %w", err, objectstore.ErrSettings)
	case isA[x509.UnknownAuthorityError](err):
		advice = "name a file with the certificate of the authority in AWS_CA_BUNDLE or SSL_CERT_FILE"
	case isA[x509.HostnameError](err):
		advice = "check s3.endpoint, and set s3.force_path_style if the certificate is not for the host of each bucket"
	case isA[x509.CertificateInvalidError](err):
		advice = "check the server's certificate, and the clock of this machine"
	case isA[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch):
		advice = "the server speaks no TLS: check whether s3.endpoint is to begin with http://"
	case dns != nil && dns.IsNotFound && strings.HasPrefix(dns.Name, c.name+"."):
		advice = fmt.Sprintf("the host %q does not exist: set s3.force_path_style if the store names the bucket in the path of a URL, or check s3.endpoint and s3.region", dns.Name)
	case dns != nil && dns.IsNotFound:
		advice = fmt.Sprintf("the host %q does not exist: check s3.endpoint and s3.region", dns.Name)
	default:
		return err
	}
	return fmt.Errorf("%w: %s: %w", err, advice, objectstore.ErrSettings)
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
