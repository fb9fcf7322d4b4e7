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

// missingCodes are the error codes of what does not exist. The SDK makes the last of them
// of an answer without a code, such as that to a HEAD. All others that come with status
// 404 speak of something else: a user who does not exist, say.
var missingCodes = []string{"NoSuchBucket", "NoSuchKey", "", "NotFound"}

// wrongKeyCodes are the error codes of credentials that the store does not take.
var wrongKeyCodes = []string{"InvalidAccessKeyId", "SignatureDoesNotMatch"}

// errLate is the error of a page that did not come in time.
var errLate = errors.New("no answer in time")

// classify tells of an SDK error what objectstore's callers need to know, in the
// words of S3: its code, its message and the request's ID.
func (b *Bucket) classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if objectstore.Permanent(err) {
		return err // of what is in a page
	}
	var unsent *smithyhttp.RequestSendError
	if errors.As(err, &unsent) {
		return b.unreachable(unsent.Err) // with the URL, without a status and IDs that nothing sent
	}
	var response *awshttp.ResponseError
	if !errors.As(err, &response) {
		return err // nothing came back: transient
	}
	told, status := tellingOf(response), response.HTTPStatusCode()
	if elsewhere := elsewhere(response, told); elsewhere != "" {
		return fmt.Errorf("%s: %s: %w", wordsOf(err, status, response.ServiceRequestID()), elsewhere, objectstore.ErrSettings)
	}
	return answered(err, status, response.ServiceRequestID())
}

// answered tells the same of the error that an answer with a status is.
func answered(err error, status int, requestID string) error {
	var odd *oddAnswer
	switch {
	case errors.As(err, &odd) && status == http.StatusOK:
		return fmt.Errorf("%w (%s)", odd, placeOf(status, requestID))
	case odd != nil: // of an error without words of the store the status is enough
		err = errors.New(http.StatusText(status))
	}
	words, code := wordsOf(err, status, requestID), ""
	var api smithy.APIError
	if errors.As(err, &api) {
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

// maxWords bounds the bytes of a store's words that an error repeats.
const maxWords = 1 << 10

// wordsOf returns the store's words: code and message if it gave some.
func wordsOf(err error, status int, requestID string) string {
	words := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		words = api.ErrorCode()
		if m := api.ErrorMessage(); m != "" { // of a HEAD there is none
			words += ": " + m
		}
	}
	return fmt.Sprintf("%s (%s)", shortened(words), placeOf(status, requestID))
}

func placeOf(status int, requestID string) string {
	if requestID == "" { // not all stores give one
		return fmt.Sprintf("status %d", status)
	}
	return fmt.Sprintf("status %d, request ID %s", status, shortened(requestID))
}

// shortened returns a text of at most maxWords bytes and a sign that there is more.
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

// throttleCodes are those of the transientCodes by which a store asks for fewer
// calls.
var throttleCodes = transientCodes[slices.Index(transientCodes, "SlowDown"):]

// kindOf returns objectstore's error for a response, or nil if it is transient
// and no more is known.
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

// isLate reports whether err is that of a page that did not come in time.
func isLate(err error) bool {
	var network net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled):
		return false // the caller wanted it no more; a connection that is cut for that reports a timeout
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.As(err, &op) && op.Op == "dial":
		return false // of a page nothing was asked
	default:
		return errors.As(err, &network) && network.Timeout()
	}
}

func isNotFound(err error) bool { return errors.Is(err, objectstore.ErrNotFound) }

// elsewhere returns where an answer says that the bucket is, in words that say what to set;
// "" if it does not say so.
func elsewhere(r *awshttp.ResponseError, told told) string {
	region, status := regionOf(r, told), r.HTTPStatusCode()
	if status < 300 || status > 399 {
		if told.Code != "AuthorizationHeaderMalformed" || region == "" {
			return ""
		}
		return fmt.Sprintf("the bucket is in region %q: set s3.region", region)
	}
	var places, set []string
	if region != "" {
		places, set = append(places, fmt.Sprintf("in region %q", region)), append(set, "s3.region")
	}
	if endpoint := told.Endpoint; endpoint != "" {
		places, set = append(places, fmt.Sprintf("at endpoint %q", shortened(endpoint))), append(set, "s3.endpoint")
	} else if location := r.Response.Header.Get("Location"); location != "" {
		places, set = append(places, fmt.Sprintf("at %q", shortened(location))), append(set, "s3.endpoint")
	}
	if len(places) == 0 {
		return "the store redirects the request, and does not say where to: set s3.endpoint and s3.region"
	}
	return fmt.Sprintf("redirects are not followed, as they would not be signed; the bucket is %s: set %s",
		strings.Join(places, " "), strings.Join(set, " or "))
}

// regionOf returns the region that an answer says the bucket is in, or "".
func regionOf(r *awshttp.ResponseError, told told) string {
	if region := r.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return region
	}
	return told.Region
}

// movedTo returns the region in which AWS says that the bucket is, if that is not the one
// in which the call was made, and "" otherwise. Only at AWS's own hosts it is known which
// host is the region's, and that it may be given a signature.
func (b *Bucket) movedTo(err error) string {
	var response *awshttp.ResponseError
	if !b.client.roams || b.facts.region.Load() != nil || !errors.As(err, &response) {
		return ""
	}
	told := tellingOf(response)
	region := regionOf(response, told)
	if elsewhere(response, told) == "" || region == b.client.s3.Options().Region || !isRegion(region) {
		return ""
	}
	return region
}

// isRegion reports whether text may be a region's name, which becomes part of a host's.
func isRegion(text string) bool {
	return text != "" && len(text) <= 63 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// unreachable tells of an error of a connection that no later try mends what to set.
func (b *Bucket) unreachable(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var plain tls.RecordHeaderError
	var dns *net.DNSError
	var advice string
	switch {
	case errors.As(err, &unknown):
		advice = "name a file with the certificate of the authority in AWS_CA_BUNDLE or SSL_CERT_FILE"
	case errors.As(err, &name):
		advice = "check s3.endpoint, and set s3.force_path_style if the certificate is not for the host of each bucket"
	case errors.As(err, &invalid):
		advice = "check the server's certificate, and the clock of this machine"
	case errors.As(err, &plain), errors.Is(err, http.ErrSchemeMismatch):
		advice = "the server speaks no TLS: check whether s3.endpoint is to begin with http://"
	case errors.As(err, &dns) && dns.IsNotFound && strings.HasPrefix(dns.Name, b.name+"."):
		advice = fmt.Sprintf("the host %q does not exist: set s3.force_path_style if the store names the bucket in the path of a URL, or check s3.endpoint and s3.region", dns.Name)
	case errors.As(err, &dns) && dns.IsNotFound:
		advice = fmt.Sprintf("the host %q does not exist: check s3.endpoint and s3.region", dns.Name)
	default:
		return err
	}
	return fmt.Errorf("%w: %s: %w", err, advice, objectstore.ErrSettings)
}
