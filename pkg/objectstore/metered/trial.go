package metered

import (
	"context"
	"time"

	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
)

// WrapTrial returns p with metrics: its pages are those of listings.
func (m *Meter) WrapTrial(p trial.Pages) trial.Pages { return &trialPages{m, p} }

type trialPages struct {
	meter *Meter
	next  trial.Pages
}

// ListAfter implements trial.Pages.
func (p *trialPages) ListAfter(ctx context.Context, prefix, after string, keys int, take func([]objectstore.Listed)) (bool, error) {
	start := time.Now()
	more, err := p.next.ListAfter(ctx, prefix, after, keys, p.meter.counting(take))
	p.meter.observe("list", start, err)
	return more, err
}

// WalkPage implements trial.Pages.
func (p *trialPages) WalkPage(ctx context.Context, prefix, token string, take func([]objectstore.Listed)) (string, error) {
	start := time.Now()
	next, err := p.next.WalkPage(ctx, prefix, token, p.meter.counting(take))
	p.meter.observe("list", start, err)
	return next, err
}
