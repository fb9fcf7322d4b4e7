package coordinator

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// Trials opens buckets to be tried.
type Trials interface {
	Trial(ctx context.Context, u objectstore.URI) (trial.Bucket, error)
}

// Tried is the result of a trial of how a source is listed.
type Tried struct {
	Source  objectstore.URI
	Store   string              // as it names itself
	Known   bool                // to answer LISTs after any start
	Encodes bool                // it declares that it writes keys URL-encoded
	Listing objectstore.Listing // mode of an import of the source that is planned now
	Seed    uint64              // of the choice of starts
	Report  trial.Report
}

// SourceCheck returns a function that reads a source, and refuses one that may not be listed
// outside of an import with a fault of the field "source".
func SourceCheck(s *Service) func(ctx context.Context, source string) (objectstore.URI, error) {
	return func(ctx context.Context, source string) (objectstore.URI, error) {
		return s.validate.prefix(ctx, "source", source)
	}
}

// trialLimits bound a trial so that it is answered within the time of any other request.
var trialLimits = trial.Limits{
	Lists: limits.TrialLists, Keys: limits.TrialKeys, Bytes: limits.TrialBytes, Within: limits.TrialTime * time.Second,
}

// trialStarts is the number of starts of a trial: the LIST calls that the longest walk
// leaves, less some that are repeated.
const trialStarts = 200

// TrySource tries how a source is listed. The source must be in a bucket, and allowed. A
// trial with a seed other than 0 repeats the one that reported that seed, as far as the
// bucket is the same. It is fault.Busy while too many other trials run in this process.
func (s *Service) TrySource(ctx context.Context, source string, seed uint64) (Tried, error) {
	const field = "source"
	var none Tried
	uri, err := s.validate.prefix(ctx, field, source)
	if err != nil {
		return none, err
	}
	select {
	case s.trials <- struct{}{}:
		defer func() { <-s.trials }()
	default:
		return none, fault.TooMany("%d trials are running, the most at a time: try again", limits.Trials)
	}
	for seed == 0 {
		seed = uint64(rand.Uint32())
	}
	tried := Tried{Source: uri, Seed: seed}
	if err := runTrial(ctx, s.cfg.Trials, s.cfg.Stores, &tried); err != nil {
		if objectstore.Permanent(err) || ctx.Err() != nil {
			return none, storeFault(field, err)
		}
		return none, fault.Unavailable(field, "the store does not answer, try again: %v", err)
	}
	return tried, nil
}

func runTrial(ctx context.Context, trials Trials, stores objectstore.Chooser, t *Tried) error {
	bucket, err := trials.Trial(ctx, t.Source)
	if err != nil {
		return err
	}
	t.Store, t.Known, t.Encodes = bucket.Store, bucket.Known, bucket.Encodes
	if t.Listing, err = stores.Listing(ctx, t.Source); err != nil {
		return err
	}
	t.Report, err = trial.Run(ctx, bucket.Pages, t.Source.Key, trial.Config{Limits: trialLimits, Starts: trialStarts, Seed: t.Seed})
	return err
}
