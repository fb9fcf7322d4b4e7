// Package stores opens the object store that a URI lives in, decorated with
// metrics and retries.
package stores

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/metric"
	"github.com/rangefleet/rangefleet/internal/netclass"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/localstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/metered"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
	"github.com/rangefleet/rangefleet/pkg/objectstore/retry"
	"github.com/rangefleet/rangefleet/pkg/objectstore/roles"
	"github.com/rangefleet/rangefleet/pkg/objectstore/s3store"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// Config says which stores can be opened and how.
type Config struct {
	S3           s3store.Config
	LocalAllowed []string         // directories that local:// may read and write; they must exist
	Ahead        readahead.Limits // of all buckets together

	// Roles are those with which sources in buckets are read. A source without one, and all
	// namespaces, are read with the credentials of S3.
	Roles roles.Table

	// Listing is how buckets are listed; "" is in parallel if the store is known to be safe
	// for that, and else by walks.
	Listing objectstore.Mode
}

// Stores opens stores. A process has one, which keeps the connections to S3.
// It is safe for concurrent use.
type Stores struct {
	s3Config  s3store.Config
	local     *localstore.Store
	localOpen objectstore.Store                                             // local, decorated
	bucket    func(b objectstore.Pager, confirmEnds bool) objectstore.Store // decorates a bucket
	trial     func(trial.Pages) trial.Pages                                 // decorates a bucket that is tried
	limiter   *readahead.Limiter                                            // of all buckets
	listing   objectstore.Mode                                              // of all buckets; "": the store tells
	roles     roles.Table

	mu sync.Mutex
	s3 *s3store.Client // nil until the first s3:// URI
}

// New returns Stores, or an error if an allowed directory does not exist.
func New(cfg Config, reg prometheus.Registerer, log *slog.Logger) (*Stores, error) {
	local, err := localstore.New(cfg.LocalAllowed, log)
	if err != nil {
		return nil, err
	}
	meter, retrier := metered.New(reg), retry.New(reg)
	cfg.S3.Log = log
	cfg.S3.Resized, cfg.S3.Refused, cfg.S3.Assumed = countResizes(reg), countRefusals(reg), countAssumed(reg)
	limiter, ahead := readahead.NewLimiter(cfg.Ahead), readahead.NewMetrics(reg)
	metric.With(reg).In("readahead").Gauge("limit_bytes", "Bytes of pages that may be listed ahead of their consumers.").Set(float64(cfg.Ahead.Buffer))
	return &Stores{
		s3Config:  cfg.S3,
		limiter:   limiter,
		listing:   cfg.Listing,
		roles:     cfg.Roles,
		local:     local,
		localOpen: retrier.Wrap(meter.Wrap(local)),
		trial:     meter.WrapTrial,
		bucket: func(b objectstore.Pager, confirmEnds bool) objectstore.Store {
			b = meter.WrapPager(b)
			return readahead.Wrap(retrier.Wrap(b), b, readahead.Config{Limiter: limiter, ConfirmEnds: confirmEnds}, ahead)
		},
	}, nil
}

var _ objectstore.Chooser = (*Stores)(nil)

// countResizes returns a function that counts how often the pages of buckets are made smaller
// and larger.
func countResizes(reg prometheus.Registerer) func(larger bool) {
	changes := metric.With(reg).CounterVec("objectstore_page_resizes_total",
		"Times that a bucket's pages were asked for with half as many keys, as they did not come in time, or with twice as many again.",
		metric.By("direction", "smaller", "larger"))
	smaller, larger := changes.WithLabelValues("smaller"), changes.WithLabelValues("larger")
	return func(up bool) {
		if up {
			larger.Inc()
		} else {
			smaller.Inc()
		}
	}
}

// countRefusals returns a function that counts refused connections.
func countRefusals(reg prometheus.Registerer) func(netclass.Class) {
	var classes []string
	for _, class := range s3store.Refusals() {
		classes = append(classes, string(class))
	}
	refusals := metric.With(reg).CounterVec("objectstore_connections_refused_total",
		"Connections to a store that were not made because of where they would lead, by the class of the address; \"another host\" is not that of s3.endpoint.",
		metric.By("class", classes...))
	return func(class netclass.Class) { refusals.WithLabelValues(string(class)).Inc() }
}

// countAssumed returns a function that counts the calls that assume a role, and shows until when the
// credentials are valid that a source is read with after the last call.
func countAssumed(reg prometheus.Registerer) func(time.Time, error) {
	end := metric.With(reg).CredentialsEnd("sts")
	calls := metric.With(reg).CounterVec("objectstore_roles_assumed_total",
		"Calls that assumed a role to read a source: ok, refused (for good), or failed (to be repeated).", metric.By("result", "ok", "refused", "failed"))
	return func(valid time.Time, err error) {
		end.Set(metric.Time(valid))
		switch {
		case err == nil:
			calls.WithLabelValues("ok").Inc()
		case objectstore.Permanent(err):
			calls.WithLabelValues("refused").Inc()
		default:
			calls.WithLabelValues("failed").Inc()
		}
	}
}

// Lists returns the limiter of the LIST calls to all buckets together.
func (s *Stores) Lists() *readahead.Limiter { return s.limiter }

// Roles returns with which roles OpenSource reads sources.
func (s *Stores) Roles() roles.Table { return s.roles }

// Open returns the store that u lives in. It is objectstore.ErrRefused if a local URI lies
// outside the allowed directories, if the kind of bucket cannot be listed, and if there are
// no credentials for S3. Open does not check whether a bucket exists.
func (s *Stores) Open(ctx context.Context, u objectstore.URI) (objectstore.Store, error) {
	switch u.Scheme {
	case objectstore.SchemeLocal:
		if err := s.local.Check(u.Key); err != nil {
			return nil, fmt.Errorf("open %s: %w", u, err)
		}
		return s.localOpen, nil
	case objectstore.SchemeS3:
		client, err := s.s3Client(ctx)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", u, err)
		}
		bucket, err := client.Bucket(u.Bucket)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", u, err)
		}
		return s.bucket(bucket, !client.IsAWS()), nil
	default:
		return nil, fmt.Errorf("open %s: unknown scheme %q: %w", u, u.Scheme, objectstore.ErrRefused)
	}
}

// OpenSource implements objectstore.SourceOpener. The role of a source is assumed at the first
// call to its store. OpenSource returns the errors of Open, and objectstore.ErrRefused for a
// prefix that holds a source with a role of its own.
func (s *Stores) OpenSource(ctx context.Context, u objectstore.URI, object bool) (objectstore.Store, error) {
	if u.Scheme != objectstore.SchemeS3 {
		return s.Open(ctx, u)
	}
	client, bucket, err := s.source(ctx, u, object)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u, err)
	}
	return s.bucket(bucket, !client.IsAWS()), nil
}

// source returns the bucket of a source, to be read with the source's role, if it has one.
func (s *Stores) source(ctx context.Context, u objectstore.URI, object bool) (*s3store.Client, *s3store.Bucket, error) {
	client, err := s.s3Client(ctx)
	if err != nil {
		return nil, nil, err
	}
	session, ok, err := s.roles.For(u, object)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		bucket, err := client.Bucket(u.Bucket)
		return client, bucket, err
	}
	bucket, err := client.SourceBucket(session, object)
	return client, bucket, err
}

// s3Client makes the client at its first use, since a machine that imports no buckets may
// have no credentials for them.
func (s *Stores) s3Client(ctx context.Context) (*s3store.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.s3 == nil {
		client, err := s3store.New(ctx, s.s3Config)
		if err != nil {
			return nil, err
		}
		s.s3 = client
	}
	return s.s3, nil
}

// Listing implements objectstore.Chooser. Directories have one mode, and buckets that of the
// setting, if it names one. Otherwise they are listed in parallel only if the store is known
// to answer each LIST with the keys that follow its start: a trial would show that for
// some starts only.
func (s *Stores) Listing(ctx context.Context, u objectstore.URI) (objectstore.Listing, error) {
	if u.Scheme != objectstore.SchemeS3 {
		return objectstore.Listing{Mode: objectstore.Parallel}, nil
	}
	if s.listing != "" {
		return objectstore.Listing{Mode: s.listing, Why: fmt.Sprintf("s3.listing is %s", s.listing)}, nil
	}
	var name string
	var known bool
	_, bucket, err := s.source(ctx, u, true) // which store it is does not depend on what is read
	if err == nil {
		name, known, err = bucket.Identity(ctx)
	}
	if err != nil {
		return objectstore.Listing{}, fmt.Errorf("choose how %s is listed: %w", u, err)
	}
	if known {
		return objectstore.Listing{Mode: objectstore.Parallel, Why: "the store is " + name}, nil
	}
	return objectstore.Listing{Mode: objectstore.Walk, Why: fmt.Sprintf(
		"the store at %s is not known to be safe to list in parallel; rangectl doctor tries it, and s3.listing: parallel trusts it", name)}, nil
}

// Remove deletes one object of a bucket, which the caller has stored there to try the store.
// Nothing else deletes objects.
func (s *Stores) Remove(ctx context.Context, u objectstore.URI) error {
	if u.Scheme != objectstore.SchemeS3 {
		return fmt.Errorf("delete %s: only objects of buckets can be deleted: %w", u, objectstore.ErrRefused)
	}
	client, err := s.s3Client(ctx)
	if err != nil {
		return fmt.Errorf("delete %s: %w", u, err)
	}
	bucket, err := client.Bucket(u.Bucket)
	if err != nil {
		return fmt.Errorf("delete %s: %w", u, err)
	}
	return bucket.Delete(ctx, u.Key)
}

// Trial returns the bucket of a source, to be tried under the key of u. It asks the store
// to identify itself. Errors are those of Open, objectstore.ErrRefused if u is no URI of a
// bucket, and those of the calls.
func (s *Stores) Trial(ctx context.Context, u objectstore.URI) (trial.Bucket, error) {
	var none trial.Bucket
	if u.Scheme != objectstore.SchemeS3 {
		return none, fmt.Errorf("try %s: only buckets can be tried: %w", u, objectstore.ErrRefused)
	}
	_, bucket, err := s.source(ctx, u, false)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	name, known, err := bucket.Identity(ctx)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	encodes, err := bucket.Encodes(ctx, u.Key)
	if err != nil {
		return none, fmt.Errorf("try %s: %w", u, err)
	}
	return trial.Bucket{Store: name, Known: known, Encodes: encodes, Pages: s.trial(bucket)}, nil
}
