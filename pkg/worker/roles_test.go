package worker_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/gossip"
)

// A worker without the role that the coordinator's settings have would read the source with more
// than that role may read.
func TestAWorkerWithOtherRolesReadsNothing(t *testing.T) {
	source, _ := numbered(t, 100, small)
	source.Hook = func(_ context.Context, c memstore.Call) error {
		t.Errorf("%s %q", c.Op, c.Key)
		return errors.New("read without the role")
	}
	f := start(t, source)
	f.roles = []string{"arn:aws:iam::123456789012:role/lake"}
	problems := make(chan gossip.Problem, 100)
	expect.NoError(t, f.backend.Gossip.ListenProblems(t.Context(), func(p gossip.Problem) { problems <- p }))
	f.record("id", small)
	f.publish(rangetest.Plan("id", nil)...)
	stop := f.run(1)
	defer stop()
	if got := expect.Received(t, "a problem", problems); !strings.Contains(got.Text, "sources.roles of worker") || !strings.Contains(got.Text, f.roles[0]) {
		t.Errorf("problem %q", got.Text)
	}
}
