package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// TestFailover kills with -9 the coordinator that drives an import, at its first
// moment and in its midst, and wants another one to take it over and to bring it
// to its end. How long that takes is told, and bounded only as every wait is.
func TestFailover(t *testing.T) {
	objects := awkwardObjects(t)
	b := breaks{maxSize: 8 << 10, raggedness: 200}
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), b)
	for name, at := range map[string]int64{"just accepted": 0, "in its midst": awkwardCount / 3} {
		t.Run(name, func(t *testing.T) {
			leader := newFleet(t, b, shape{nats: 1, workers: 2}, "RANGEFLEET_NATS_LEASE_TTL=6s")
			heir := leader.join()
			leader.repository("repo", awkwardBucket)
			id := leader.begin("repo", "main", awkwardSource, destination)
			if at > 0 {
				heir.waitFor("main", id, at)
			}
			leader.coordinator.Kill()
			killed := time.Now()
			var took time.Duration
			expect.Within(t, patience, "another coordinator drives the import", func(context.Context) (bool, error) {
				status := heir.status("repo", "main", id)
				took = time.Since(killed)
				return strings.Contains(heir.coordinator.Output(), "import taken over") || status.Completed, nil
			})
			before := heir.status("repo", "main", id)
			got := heir.finish("repo", "main", id)
			t.Logf("%.1f s from the kill to the takeover at %d objects, %.1f s to the commit",
				took.Seconds(), before.IngestedObjects, time.Since(killed).Seconds())
			if got.MetarangeID != want || got.IngestedObjects != awkwardCount {
				t.Errorf("%d objects in metarange %s, want %d in %s", got.IngestedObjects, got.MetarangeID, awkwardCount, want)
			}
			if log := heir.log("repo", "main"); len(log) != 2 || log[0].ID != got.Commit.ID {
				t.Errorf("the log is %+v, want one commit on the root", log)
			}
		})
	}
}
