package coordinator

import (
	"context"

	"github.com/rangefleet/rangefleet/pkg/gossip"
)

// takeFailures ends imports that workers report as failed, until ctx ends.
func takeFailures(ctx context.Context, cfg Config) {
	err := cfg.Backend.Gossip.TakeFailures(ctx, func(f gossip.Failure) error {
		return cfg.Imports.Fail(ctx, f.ImportID, f.Text, cfg.Now())
	})
	if err != nil && ctx.Err() == nil {
		cfg.Log.WarnContext(ctx, "listen to workers", "err", err)
	}
}
