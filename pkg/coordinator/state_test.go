package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/backend"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// While NATS does not respond, each kind of request waits for it as long as Requests says,
// which is less than the service itself does.
func TestRequestsWaitAsLongAsTheirState(t *testing.T) {
	const patience = 3 * time.Second
	for name, call := range map[string]func(ctx context.Context, s *Service) error{
		"start": func(ctx context.Context, s *Service) error {
			start := request("", "data/")
			_, err := s.Start(ctx, start)
			return err
		},
		"status": func(ctx context.Context, s *Service) error { _, err := s.Status(ctx, "repo", "id"); return err },
		"cancel": func(ctx context.Context, s *Service) error { return s.Cancel(ctx, "repo", "id") },
		"tree":   func(ctx context.Context, s *Service) error { _, err := s.Tree(ctx, "repo", "main"); return err },
		"reset":  func(ctx context.Context, s *Service) error { return s.ResetBranch(ctx, "me", "repo", "main", "c") },
		"revert": func(ctx context.Context, s *Service) error {
			_, err := s.Revert(ctx, Revert{Repository: "repo", Branch: "main", Ref: "c"})
			return err
		},
		"delete":    func(ctx context.Context, s *Service) error { return s.DeleteRepository(ctx, "repo") },
		"branch":    func(ctx context.Context, s *Service) error { return s.DeleteBranch(ctx, "me", "repo", "side") },
		"namespace": func(ctx context.Context, s *Service) error { return s.CheckNamespace(ctx, "s3://repo/ns") },
		"metarange": func(ctx context.Context, s *Service) error { _, err := s.CreateMetarange(ctx, "repo", nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, err := backend.Connect(t.Context(), natsconn.Config{InProcess: queuetest.Mute{}, Log: slog.New(slog.DiscardHandler)}, backend.Options{})
				expect.NoError(t, err)
				defer b.Close()
				state := func(b *backend.Backend) State {
					return State{b, imports.NewStore(b.Bucket(kv.BucketImports)), catalog.New(b.Bucket(kv.BucketCatalog))}
				}
				s := New(Config{
					State: state(b), Requests: state(b.Within(patience)),
					Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
				})
				begun := time.Now()
				err = call(t.Context(), s)
				if took := time.Since(begun); !errors.Is(err, natsconn.ErrUnresponsive) || took != patience {
					t.Errorf("%v after %v, want ErrUnresponsive after %v", err, took, patience)
				}
			})
		})
	}
}
