package coordinator

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// Trials opens buckets to be tried.
type Trials interface {
	Trial(ctx context.Context, u objectstore.URI) (trial.Bucket, error)
}

// Tried is what came of trying how a source is listed.
type Tried struct {
	Source  objectstore.URI
	Store   string              // who it says it is
	Known   bool                // as one that answers LISTs after any start
	Encodes bool                // it says that it writes keys URL-encoded
	Listing objectstore.Listing // of an import of the source that is planned now
	Seed    uint64              // of the choice of starts
	Report  trial.Report
}

// trialLimits bound a trial such that it is answered like any other request.
var trialLimits = trial.Limits{
	Lists: limits.TrialLists, Keys: limits.TrialKeys, Bytes: limits.TrialBytes, Within: limits.TrialTime * time.Second,
}

// trialStarts is how many starts a trial has: what the walk of as many keys as may be
// leaves of the LIST calls, less some to be made again.
const trialStarts = 200

// TrySource tries how a source is listed. It must be one that may be imported, in a
// bucket. A trial with a seed other than 0 repeats the one that reported it, as far as
// the bucket is the same. It is fault.Busy while the process has others under way.
func (s *Service) TrySource(ctx context.Context, source string, seed uint64) (Tried, error) {
	const field = "source"
	var none Tried
	repositories, err := s.repositories(ctx)
	if err != nil {
		return none, err
	}
	if err := s.checkSource(ctx, field, source, imports.CommonPrefix, repositories); err != nil {
		return none, err
	}
	uri, err := objectstore.ParseURI(source)
	if err != nil {
		return none, fault.BadField(field, "%v", err)
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
	if err := s.try(ctx, &tried); err != nil {
		if objectstore.Permanent(err) || ctx.Err() != nil {
			return none, storeFault(field, err)
		}
		return none, fault.ComeBack(field, "the store does not answer, try again: %v", err)
	}
	return tried, nil
}

func (s *Service) try(ctx context.Context, t *Tried) error {
	bucket, err := s.cfg.Trials.Trial(ctx, t.Source)
	if err != nil {
		return err
	}
	t.Store, t.Known, t.Encodes = bucket.Store, bucket.Known, bucket.Encodes
	if t.Listing, err = s.cfg.Stores.Listing(ctx, t.Source); err != nil {
		return err
	}
	t.Report, err = trial.Run(ctx, bucket.Pages, t.Source.Key, trial.Config{Limits: trialLimits, Starts: trialStarts, Seed: t.Seed})
	return err
}
