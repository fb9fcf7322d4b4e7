// Package s3store implements objectstore.Store for a bucket in S3 or in a store that
// is compatible with S3.
//
// Compatible stores differ in how well they keep to the protocol. So a bucket can be
// listed in two ways: after any key, or by continuation tokens (see WalkPage). In both,
// a page that is not strictly in order, or that contradicts its request, is
// objectstore.ErrBadListing.
package s3store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/rangefleet/rangefleet/internal/netclass"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store/listxml"
)

// Config says which S3 service is used and how. The zero value is AWS with the
// SDK's default chain for region and credentials.
type Config struct {
	Endpoint        string // URL of the service; "" is AWS's own
	Region          string // "": from the SDK's default chain, and without one us-east-1
	ForcePathStyle  bool   // the bucket goes into the path, not into the host name
	AccessKeyID     string // "" with an empty SecretAccessKey: the SDK's default chain
	SecretAccessKey string // never logged

	// PageKeys is how many keys one LIST call requests: 1 to 1000; 0 is
	// 1000. A page that does not arrive in time is requested again with fewer keys.
	PageKeys int
	// Unordered says that the store does not list in bytewise order of keys. Listing it
	// is refused.
	Unordered bool
	// NoPutChecksums omits the header x-amz-checksum-sha256, which buckets with Object
	// Lock require and some stores refuse.
	NoPutChecksums bool

	// STSEndpoint is the URL of the service where roles are assumed; "" is AWS's own in the
	// region.
	STSEndpoint string
	// Assumed is called, concurrently, after each call that assumes a role, with its error and the
	// time until when the session has valid credentials, zero if it has none. It
	// may be nil.
	Assumed func(valid time.Time, err error)

	// Proxy is the URL of a proxy through which the service is reached; "" is none. Those that
	// the environment names are not used: a proxy connects where this package would not.
	Proxy string

	Timeout time.Duration // deadline of one call, the body of its answer included; 0 is 3 minutes

	Log *slog.Logger     // receives the SDK's messages; nil is slog.Default()
	Now func() time.Time // nil is the real clock
	// Resized is called, concurrently, when the requests for a bucket's pages begin to
	// ask for half as many keys, or for twice as many. It may be nil.
	Resized func(larger bool)
	// Refused is called, concurrently, when a connection is refused because of where it would
	// lead. It may be nil.
	Refused func(netclass.Class)
}

// Defaults of Config, and constants of all connections. A LIST over millions of delete
// markers has been seen to take two minutes, so the deadline of a call is longer.
const (
	defaultRegion   = "us-east-1"
	defaultTimeout  = 3 * time.Minute
	idleConnections = 128      // kept for the next calls; the SDK's 10 would close most of a worker's
	maxHeaderBytes  = 1 << 20  // of a response
	readBuffer      = 32 << 10 // of a connection: stores send a page in many small chunks
)

// directoryBucketSuffix ends the names of S3 directory buckets.
const directoryBucketSuffix = "--x-s3"

// Client is the connection to one S3 service. It does not retry: decorators do, and count.
// It is safe for concurrent use and keeps a pool of connections, so one a process is enough.
type Client struct {
	cfg         Config // with defaults
	s3          *s3.Client
	credentials aws.CredentialsProvider // of buckets that are read without a role
	sessions    *sessions               // of roles
	direct      *direct                 // nil if all goes through the SDK
	aws         bool                    // the service is AWS's own
	roams       bool                    // the endpoint is AWS's own of a region, so a bucket may be looked for in another region
	known       known
	answers     sync.Pool    // of *answer: the memory of listings that have ended, for the next ones
	pageBytes   atomic.Int64 // what a page usually takes
}

// New returns a client. It looks for credentials, and returns objectstore.ErrRefused
// if there are none. It sends nothing to S3.
func New(ctx context.Context, cfg Config) (*Client, error) {
	if (cfg.AccessKeyID == "") != (cfg.SecretAccessKey == "") {
		return nil, fmt.Errorf("S3 credentials need both an access key ID and a secret access key: %w", objectstore.ErrRefused)
	}
	awsCfg, err := loadConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	cfg.PageKeys = cmp.Or(cfg.PageKeys, maxPageKeys)
	if cfg.Resized == nil {
		cfg.Resized = func(bool) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, credentials: awsCfg.Credentials}
	if c.s3, err = newS3(awsCfg, cfg); err != nil {
		return nil, err
	}
	o := c.s3.Options()
	if c.sessions, err = newSessions(awsCfg, cfg); err != nil {
		return nil, err
	}
	c.direct = &direct{transport: o.HTTPClient.(*http.Client).Transport}
	c.aws, c.roams = isAWS(o.BaseEndpoint), aws.ToString(o.BaseEndpoint) == ""
	c.noteProxy(cmp.Or(aws.ToString(o.BaseEndpoint), "https://s3.amazonaws.com"))
	c.answers.New = func() any { return &answer{usual: &c.pageBytes} }
	return c, nil
}

// noteProxy logs that the environment names a proxy for an endpoint, and that it is not used.
func (c *Client) noteProxy(endpoint string) {
	to, err := url.Parse(endpoint)
	if err != nil || c.cfg.Proxy != "" {
		return
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: to}); err == nil && proxy != nil {
		cmp.Or(c.cfg.Log, slog.Default()).Warn("the environment names a proxy, which is not used for S3: set s3.proxy if S3 is to be reached through it", "proxy", proxy.Host)
	}
}

// newS3 returns the SDK's client, with connections that are guarded.
func newS3(awsCfg aws.Config, cfg Config) (*s3.Client, error) {
	var failed error
	client := s3.NewFromConfig(awsCfg, func(o *s3.Options) {
		o.UsePathStyle = cfg.ForcePathStyle
		o.APIOptions = append(o.APIOptions, plainRequests)
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		var g *guard
		if g, failed = guarding(cfg, "s3.endpoint", aws.ToString(o.BaseEndpoint), true); failed == nil {
			o.HTTPClient, failed = guarded(awsCfg.HTTPClient, g, cfg.Proxy)
		}
	})
	if failed != nil {
		return nil, fmt.Errorf("connect to S3: %w: %w", failed, objectstore.ErrSettings)
	}
	return client, nil
}

// loadConfig returns the SDK's configuration, with credentials.
func loadConfig(ctx context.Context, cfg Config) (aws.Config, error) {
	awsCfg, err := config.LoadDefaultConfig(ctx, loadOptions(cfg)...)
	if err != nil && ctx.Err() == nil { // it reads only files
		err = fmt.Errorf("%w: %w", objectstore.ErrSettings, err)
	}
	if err != nil {
		return awsCfg, fmt.Errorf("load the S3 configuration from the environment and the SDK's files: %w", err)
	}
	awsCfg.Region = cmp.Or(awsCfg.Region, defaultRegion)
	if _, err := awsCfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return awsCfg, fmt.Errorf("find S3 credentials: %w", ctx.Err())
		}
		return awsCfg, fmt.Errorf("find S3 credentials, in the settings or where the AWS SDK looks for them: %w: %w", objectstore.ErrRefused, err)
	}
	return awsCfg, nil
}

func loadOptions(cfg Config) []func(*config.LoadOptions) error {
	// Only a buildable client lets the SDK add the CA bundle that its environment may name.
	// The sources of credentials use it as it is: they are where the machine's own network
	// offers them.
	client := awshttp.NewBuildableClient().
		WithTimeout(cmp.Or(cfg.Timeout, defaultTimeout)).
		WithDialerOptions(dialer).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = idleConnections, idleConnections
			t.DisableCompression = true // else it asks for what the SDK's signature does not cover
			t.MaxResponseHeaderBytes, t.ReadBufferSize = maxHeaderBytes, readBuffer
		})
	opts := []func(*config.LoadOptions) error{
		config.WithLogger(sdkLogger(cfg.Log)),
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		// Trailing checksums are refused by many stores that are not AWS.
		// Bodies are still covered by the SHA-256 of the signature.
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if cfg.Region != "" {
		opts = append(opts, config.WithRegion(cfg.Region))
	}
	if cfg.AccessKeyID != "" {
		opts = append(opts, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey, "")))
	}
	return opts
}

// Bucket returns the store of a bucket, whether or not the bucket exists. The error for
// a directory bucket is objectstore.ErrRefused: it does not list in key order.
func (c *Client) Bucket(name string) (*Bucket, error) {
	if strings.HasSuffix(name, directoryBucketSuffix) {
		return nil, fmt.Errorf("bucket %q is an S3 directory bucket, which lists its keys in no order: %w",
			name, objectstore.ErrRefused)
	}
	return newBucket(c, name, nil), nil
}

// SourceBucket is Bucket for a source that is read in a session of a role. The role is assumed at the
// first call. The session allows to read the content of objects if content is set, or if the
// store is not AWS: others need a HEAD call to describe some objects.
func (c *Client) SourceBucket(of roles.Session, content bool) (*Bucket, error) {
	b, err := c.Bucket(of.Reach.Bucket)
	if err != nil {
		return nil, err
	}
	return newBucket(c, b.calls.name, c.sessions.of(sessionKey{of, content || !c.aws})), nil
}

func (c *Client) newFacts() *facts {
	f := &facts{size: pageSize{most: c.cfg.PageKeys}}
	if c.aws { // it does what it documents
		f.said.narrow(listxml.Query)
		f.unsaid.narrow(listxml.Literal)
	}
	return f
}

// sdkLogger returns a logger for the SDK's messages, which would otherwise go to stderr.
// They do not contain requests, which would reveal session tokens and signatures: nothing
// here sets an aws.ClientLogMode.
func sdkLogger(log *slog.Logger) logging.Logger {
	if log == nil {
		log = slog.Default()
	}
	return logging.LoggerFunc(func(class logging.Classification, format string, v ...any) {
		level := slog.LevelDebug
		if class == logging.Warn {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "aws sdk", "notice", fmt.Sprintf(format, v...))
	})
}
