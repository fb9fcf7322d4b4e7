package s3store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/singleflight"

	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
)

// How sessions are begun and renewed.
const (
	sessionLife   = time.Hour        // asked for; what a role allows by default
	assumeTimeout = 30 * time.Second // of one call
	firstRetry    = time.Second      // after a call that failed
	mostRetry     = 30 * time.Second
	maxSessions   = 1024 // kept by a process
	// youngest is how long the store may refuse credentials as too old although they are new:
	// after that long it does not know them. Those that are due for renewal are not new.
	youngest = time.Minute
)

// sessions are the sessions of roles in which a client reads buckets. They are safe for
// concurrent use.
type sessions struct {
	sts     *sts.Client
	now     func() time.Time
	assumed func(time.Time, error)

	mu  sync.Mutex
	all map[sessionKey]*session
}

type sessionKey struct {
	roles.Session
	content bool // objects may be read
}

// newSessions returns sessions that are begun with the credentials of awsCfg.
func newSessions(awsCfg aws.Config, cfg Config) (*sessions, error) {
	s := &sessions{now: cfg.Now, assumed: cfg.Assumed, all: make(map[sessionKey]*session)}
	if s.assumed == nil {
		s.assumed = func(time.Time, error) {}
	}
	var failed error
	s.sts = sts.NewFromConfig(awsCfg, func(o *sts.Options) {
		if cfg.STSEndpoint != "" {
			o.BaseEndpoint = aws.String(cfg.STSEndpoint)
		}
		o.APIOptions = append(o.APIOptions, keepErrorBodies)
		var g *guard
		if g, failed = guarding(cfg, "sts.endpoint", aws.ToString(o.BaseEndpoint), false); failed == nil {
			o.HTTPClient, failed = guarded(awsCfg.HTTPClient, g, cfg.Proxy)
		}
	})
	if failed != nil {
		return nil, fmt.Errorf("connect to STS: %w: %w", failed, objectstore.ErrSettings)
	}
	return s, nil
}

// of returns the session of a key. All callers share it. If there are too many, all are
// forgotten: whoever uses one keeps it.
func (s *sessions) of(key sessionKey) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.all[key]; ok {
		return one
	}
	if len(s.all) >= maxSessions {
		clear(s.all)
	}
	one := &session{key: key, sessions: s}
	s.all[key] = one
	return one
}

// session provides the credentials of a session of a role, and begins a new one before the
// last has ended. It is safe for concurrent use.
type session struct {
	key      sessionKey
	sessions *sessions
	calls    singleflight.Group

	mu       sync.Mutex
	current  aws.Credentials
	begun    time.Time
	renew    time.Time // when the next session is due
	failed   error     // of the last call, nil if it succeeded
	failures int       // in a row
	again    time.Time // when the next call may be made after a failure
}

var _ aws.CredentialsProvider = (*session)(nil)

// Retrieve implements aws.CredentialsProvider. As long as the credentials are valid, callers
// do not wait for new ones, nor for the end of an outage. Its errors are objectstore's.
func (s *session) Retrieve(ctx context.Context) (aws.Credentials, error) {
	current, valid, due, err := s.look()
	if !due {
		return current, err
	}
	next := s.calls.DoChan("", func() (any, error) { return s.begin() })
	if valid {
		return current, nil
	}
	select {
	case r := <-next:
		c, _ := r.Val.(aws.Credentials)
		return c, r.Err
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
}

// look returns the current credentials, whether they are valid, and whether a call for new
// ones is due. If it is not, and they are not valid, err says why.
func (s *session) look() (c aws.Credentials, valid, due bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.sessions.now()
	valid = s.current.HasKeys() && now.Before(s.current.Expires)
	due = (!valid || !now.Before(s.renew)) && !now.Before(s.again)
	if !valid {
		return aws.Credentials{}, false, due, s.failed
	}
	return s.current, true, due, nil
}

// begin begins a session. It does not end with the call for which it was begun, since others
// wait for it, too.
func (s *session) begin() (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(context.Background(), assumeTimeout)
	defer cancel()
	at := s.sessions.now()
	c, err := s.assume(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.sessions.assumed(c.Expires, nil)
	} else {
		s.sessions.assumed(s.current.Expires, err)
	}
	if s.failed = err; err != nil {
		s.failures++
		bound := pause.Bound(firstRetry, mostRetry, s.failures)
		s.again = s.sessions.now().Add(bound/2 + rand.N(bound/2))
		return aws.Credentials{}, err
	}
	s.current, s.begun, s.failures = c, at, 0
	s.renew = at.Add(c.Expires.Sub(at) * 3 / 4)
	return c, nil
}

// outlived is called if the store says that the credentials with an access key are too old. It drops
// them and reports true, unless they are new. Those of an earlier session, with which a request was
// on its way when the next one began, are no reason to drop that.
func (s *session) outlived(accessKeyID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.HasKeys() && s.current.AccessKeyID != accessKeyID {
		return true
	}
	now := s.sessions.now()
	if s.current.HasKeys() && now.Sub(s.begun) < youngest && now.Before(s.renew) {
		return false
	}
	s.current = aws.Credentials{}
	return true
}

// assume makes one call of AssumeRole.
func (s *session) assume(ctx context.Context) (aws.Credentials, error) {
	role := s.key.Role
	in := &sts.AssumeRoleInput{
		RoleArn: &role.ARN, RoleSessionName: &role.SessionName,
		DurationSeconds: aws.Int32(int32(sessionLife.Seconds())),
		Policy:          aws.String(s.key.Policy(s.key.content)),
	}
	if role.ExternalID != "" {
		in.ExternalId = &role.ExternalID
	}
	out, err := s.sessions.sts.AssumeRole(ctx, in)
	if err != nil {
		return aws.Credentials{}, &assumeError{role, stsError(err)}
	}
	c := aws.Credentials{Source: "AssumeRole", CanExpire: true}
	if got := out.Credentials; got != nil {
		c.AccessKeyID, c.SecretAccessKey, c.SessionToken = aws.ToString(got.AccessKeyId), aws.ToString(got.SecretAccessKey), aws.ToString(got.SessionToken)
		c.Expires = aws.ToTime(got.Expiration)
	}
	if !c.HasKeys() || c.SessionToken == "" || !c.Expires.After(s.sessions.now()) {
		return aws.Credentials{}, &assumeError{role, errors.New("the answer holds no credentials that are valid now: check the clock of this machine")}
	}
	return c, nil
}

// assumeError is the error of a role that could not be assumed. It wraps no error of the SDK,
// which would be taken for one of the call that needed the role.
type assumeError struct {
	role  roles.Role
	cause error // objectstore's
}

func (e *assumeError) Error() string {
	return fmt.Sprintf("assume role %s to read %s: %v", e.role.ARN, e.role.Source, e.cause)
}

func (e *assumeError) Unwrap() []error {
	if errors.Is(e.cause, objectstore.ErrRefused) && !errors.Is(e.cause, objectstore.ErrSettings) {
		return []error{e.cause, objectstore.ErrRole}
	}
	return []error{e.cause}
}

// stsError turns an error of the SDK into one of objectstore.
func stsError(err error) error {
	if unsent, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		dns, _ := errors.AsType[*net.DNSError](unsent.Err)
		switch {
		case isA[*refusedDial](err), isA[x509.UnknownAuthorityError](err), isA[x509.HostnameError](err), errors.Is(err, http.ErrSchemeMismatch),
			dns != nil && dns.IsNotFound:
			return fmt.Errorf("%w: check sts.endpoint and s3.region: %w", unsent.Err, objectstore.ErrSettings)
		}
		return unsent.Err
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		if d := errorDetails(response); d.Code != "" { // of Ceph, which answers as S3 does
			err = &smithy.GenericAPIError{Code: d.Code, Message: d.Message}
		}
		return responseError(err, response.HTTPStatusCode(), response.ServiceRequestID())
	}
	return err
}
