package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// TestFailover kills the coordinator that drives an import with kill -9, at the start and in
// the middle of the import. Another coordinator must take over and complete the import. The
// test logs the time that this takes, and bounds it only by patience.
func TestFailover(t *testing.T) {
	objects := awkwardObjects(t)
	b := breaks{maxSize: 8 << 10, raggedness: 200}
	want := metarangeOf(t, lines(t, objects, awkwardPrefix, destination), b)
	for name, at := range map[string]int64{"just accepted": 0, "a third covered": awkwardCount / 3} {
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
				t.Errorf("%d objects and metarange %s, want %d and %s", got.IngestedObjects, got.MetarangeID, awkwardCount, want)
			}
			if log := heir.log("repo", "main"); len(log) != 2 || log[0].ID != got.Commit.ID {
				t.Errorf("the log is %+v, want one commit after the root", log)
			}
		})
	}
}
