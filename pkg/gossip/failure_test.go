package gossip_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/gossip"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// A text becomes part of a record, so that no sender may choose how long it is.
func TestTextsOfFailuresAreBounded(t *testing.T) {
	b := queuetest.Start(t)
	taken := make(chan gossip.Failure, 2)
	expect.NoError(t, b.Gossip.TakeFailures(t.Context(), func(f gossip.Failure) error {
		taken <- f
		return nil
	}))
	long := gossip.Failure{ImportID: "id", Text: strings.Repeat("é", 100<<10)}
	expect.NoError(t, b.Gossip.ReportFailure(t.Context(), long))
	data, err := json.Marshal(long)
	expect.NoError(t, err)
	expect.NoError(t, b.Conn.NATS.Publish("ask.fail", data))
	for _, by := range []string{"a worker", "a stranger"} {
		if f := expect.Received(t, by, taken); f.ImportID != "id" || len(f.Text) < 60<<10 || len(f.Text) > 65<<10 || !strings.HasSuffix(f.Text, "é…") {
			t.Errorf("by %s: %d bytes are taken, which end in %q", by, len(f.Text), f.Text[max(0, len(f.Text)-9):])
		}
	}
}
