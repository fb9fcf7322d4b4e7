package s3_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/stores"
	"github.com/rangefleet/rangefleet/pkg/objectstore/trial"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
	"github.com/rangefleet/rangefleet/test/s3/siblings"
)

// TestTrials tries real servers. A trial must find a fault of the server that is known to lose
// keys, and no fault of the others.
func TestTrials(t *testing.T) {
	for _, kind := range s3test.Kinds(ceph) {
		t.Run(kind.Name, func(t *testing.T) {
			r := seeded.Rand(t)
			server := kind.Start(t)
			s, err := stores.New(stores.Config{S3: server.Config()}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			for _, set := range load(t, server, []siblings.Set{siblings.Reported(), siblings.Small(r, kind.Holds)}) {
				bucket, err := s.Trial(t.Context(), objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: set.bucket})
				if err != nil || bucket.Known != (kind.Mode == objectstore.Parallel) {
					t.Fatalf("Trial = %+v, %v", bucket, err)
				}
				report, err := trial.Run(t.Context(), bucket.Pages, "", trial.Config{
					Limits: trial.Limits{Lists: 300, Keys: 50_000, Bytes: 8 << 20, Within: time.Minute}, Starts: 40, Seed: r.Uint64(),
				})
				if err != nil {
					t.Fatal(err)
				}
				if len(report.Walk.Keys) != len(set.Keys) || report.WalkFault != "" || report.Changed > 0 {
					t.Errorf("set %s: a walk shows %d of %d keys, fault %q; %d starts changed", set.Name, len(report.Walk.Keys), len(set.Keys), report.WalkFault, report.Changed)
				}
				if loses := kind.LosesKeys && set.Name == "reported"; loses && report.Fault == nil || !kind.LosesKeys && report.Fault != nil {
					t.Errorf("set %s: a trial of %d starts shows fault %+v, want a fault: %t", set.Name, report.Tried, report.Fault, loses)
				}
				t.Logf("set %s: fault %+v in %d starts, %d LISTs, %d keys repeated, encodes %t",
					set.Name, report.Fault, report.Tried, report.Lists, report.Walk.Repeated, bucket.Encodes)
			}
		})
	}
}
