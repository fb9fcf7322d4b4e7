package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// What is wrong with a cluster, as its facts tell.
func TestFactsOfNATS(t *testing.T) {
	good := natsconn.StreamFacts{Name: "WORK", Copies: 3, Current: 3, Leader: "n1"}
	stream := func(change func(*natsconn.StreamFacts)) natsconn.Facts {
		s := good
		change(&s)
		return natsconn.Facts{MaxPayload: 8 << 20, Most: -1, Streams: []natsconn.StreamFacts{s}}
	}
	for name, c := range map[string]struct {
		facts natsconn.Facts
		want  string // the state and the start of the text of a check
	}{
		"good":             {stream(func(*natsconn.StreamFacts) {}), "ok: 0 messages, 0 bytes, led by n1, 3 of 3 copies"},
		"no leader":        {stream(func(s *natsconn.StreamFacts) { s.Leader, s.Current = "", 1 }), "failed: no leader: 1 of 3 copies"},
		"one is down":      {stream(func(s *natsconn.StreamFacts) { s.Current = 2 }), "warning: 2 of 3 copies are up to date"},
		"too few copies":   {stream(func(s *natsconn.StreamFacts) { s.Copies, s.Current = 1, 1 }), "warning: 1 copies, and nats.replicas is 3"},
		"too many copies":  {stream(func(s *natsconn.StreamFacts) { s.Copies, s.Current = 5, 5 }), "warning: 5 copies, which is more"},
		"no answer":        {stream(func(s *natsconn.StreamFacts) { s.Err = errors.New("no answer") }), "failed: no answer"},
		"another protocol": {stream(func(s *natsconn.StreamFacts) { s.Protocol = natsconn.ErrProtocol }), "failed: another version"},
		"small payload":    {natsconn.Facts{MaxPayload: 1 << 20}, "warning: 1048576 bytes, less than"},
		"denied":           {natsconn.Facts{Denied: []string{"publish to talk.unheard"}}, "failed: this user may not publish to talk.unheard"},
		"almost full":      {natsconn.Facts{Stored: 81, Most: 100}, "warning: 81 bytes stored of 100"},
		"half full":        {natsconn.Facts{Stored: 50, Most: 100}, "ok: 50 bytes stored of 100"},
	} {
		var got []string
		d := doctor{Config{Settings: settings.Settings{NATS: settings.NATS{Replicas: 3}}}, func(c Check) { got = append(got, string(c.State)+": "+c.Text) }}
		d.natsServer(c.facts)
		d.jetStream(c.facts)
		if text := strings.Join(got, "\n"); !strings.Contains("\n"+text, "\n"+c.want) {
			t.Errorf("%s: no check begins with %q in\n%s", name, c.want, text)
		}
	}
}
