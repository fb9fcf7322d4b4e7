package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// TestProgress follows an import from its start to its end while its workers are killed, and checks
// what its status says at each moment.
func TestProgress(t *testing.T) {
	awkwardObjects(t)
	f := newFleet(t, breaks{maxSize: 64 << 10, raggedness: 5000}, shape{nats: 1, workers: 2})
	f.repository("repo", awkwardBucket)
	id := f.begin("repo", "main", awkwardSource, destination)
	var last api.ImportStatusResp
	ahead, killed := 0, false
	expect.Within(t, patience, "the import ends", func(context.Context) (bool, error) {
		now := f.status("repo", "main", id)
		p, before := now.Progress, last.Progress
		if p.ListedObjects < before.ListedObjects || p.ListedObjects < now.IngestedObjects || p.ListedObjects > awkwardCount {
			t.Errorf("%d keys were listed, %d before, and %d are ingested of %d", p.ListedObjects, before.ListedObjects, now.IngestedObjects, awkwardCount)
		}
		if !now.Completed && now.UpdateTime.Before(last.UpdateTime) {
			t.Errorf("update_time went back from %v to %v", last.UpdateTime, now.UpdateTime)
		}
		if p.ListedObjects > now.IngestedObjects {
			ahead++
		}
		if last = now; !killed && p.ListedObjects > awkwardCount/4 {
			killed = true
			for _, w := range f.workers {
				expect.NoError(t, w.Restart())
			}
		}
		return now.Completed, nil
	})
	p := last.Progress
	if p.ListedObjects != awkwardCount || p.ElapsedSeconds <= 0 || p.ObjectsPerSecond <= 0 || p.RunningPartitions != 0 {
		t.Errorf("in the end: %+v", p)
	}
	t.Logf("keys showed as listed before they were stored in %d answers; killed: %v; %v", ahead, killed, time.Duration(p.ElapsedSeconds*float64(time.Second)))
	if ahead == 0 {
		t.Error("no key showed as listed before its range was stored")
	}
}
