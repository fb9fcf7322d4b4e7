package coordinator

import (
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// TestASlowStepIsReported blocks the first page of a source.
func TestASlowStepIsReported(t *testing.T) {
	t.Parallel()
	source, _ := numbered(1000)
	open := newGate(source, "", 0)
	f := newFleet(t, source)
	s := f.service()
	s.limits.slow = map[string]time.Duration{stepPlan: 1, stepCommit: time.Hour}
	f.run(s.Run)
	f.work(1)
	id := f.start(s, request("", ""))
	problem := func() string {
		r := f.record(id)
		return r.Problem
	}
	expect.Eventually(t, "the import reports what it waits for", func() bool { return strings.Contains(problem(), "the first page of s3://bucket") })
	open()
	f.completed(id)
	if p := problem(); p != "" {
		t.Errorf("after the import completed, its problem is %q", p)
	}
}
