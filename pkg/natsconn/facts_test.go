package natsconn_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
)

// connected returns a connection to a server of its own, as the user "u".
func connected(t *testing.T, jetStream bool, denied *server.Permissions) *natsconn.Conn {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: jetStream, StoreDir: t.TempDir(),
		ServerName: "one", Users: []*server.User{{Username: "u", Password: "p", Permissions: denied}},
	})
	expect.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(expect.Patience) {
		t.Fatal("the server does not get ready")
	}
	c, err := natsconn.Connect(t.Context(), natsconn.Config{
		URL: s.ClientURL(), Login: natsconn.Login{User: "u", Password: "p"}, Log: slog.New(slog.DiscardHandler),
	})
	expect.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestInspect(t *testing.T) {
	wanted := natsconn.Wanted{Streams: []string{"A", "B"}, Subscribe: []string{"talk.>", "other.>"}, Publish: []string{"talk.unheard"}}
	deny := func(subscribe, publish string) *server.Permissions {
		return &server.Permissions{Subscribe: &server.SubjectPermission{Deny: []string{subscribe}}, Publish: &server.SubjectPermission{Deny: []string{publish}}}
	}
	for name, c := range map[string]struct {
		jetStream bool
		denied    *server.Permissions
		want      []string // Facts.Denied
		fails     string   // Facts.JetStream
	}{
		"all is there":     {true, nil, nil, ""},
		"subjects denied":  {true, deny("talk.>", "talk.unheard"), []string{"subscribe to talk.>", "publish to talk.unheard"}, ""},
		"no JetStream":     {false, nil, nil, "not enabled"},
		"JetStream denied": {true, deny("none", "$JS.API.>"), nil, "Permissions Violation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := natsconn.Inspect(t.Context(), connected(t, c.jetStream, c.denied), wanted)
			expect.NoError(t, err)
			if f.Server != "one" || f.Version == "" || f.MaxPayload != 1<<20 || !slices.Equal(f.Denied, c.want) {
				t.Errorf("%+v, want denied %q", f, c.want)
			}
			if (f.JetStream != nil) != (c.fails != "") || c.fails != "" && !strings.Contains(f.JetStream.Error(), c.fails) {
				t.Errorf("JetStream: %v, want %q", f.JetStream, c.fails)
			}
			if c.fails == "" && (len(f.Streams) != 2 || !f.Streams[0].Missing || f.Ahead != nil) {
				t.Errorf("streams %+v, ahead %v, want none", f.Streams, f.Ahead)
			}
		})
	}
}

// A stream that is tried is deleted. The clock of the server is known once there is a stream.
func TestTryStream(t *testing.T) {
	c := connected(t, true, nil)
	expect.NoError(t, natsconn.TryStream(t.Context(), c, "A"))
	f, err := natsconn.Inspect(t.Context(), c, natsconn.Wanted{Streams: []string{"A"}})
	if err != nil || !f.Streams[0].Missing {
		t.Errorf("%+v, %v, want no stream", f.Streams, err)
	}
	expect.NoError(t, c.Ensure(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}}))
	f, err = natsconn.Inspect(t.Context(), c, natsconn.Wanted{Streams: []string{"A"}})
	if err != nil || f.Streams[0].Leader != "one" || f.Streams[0].Copies != 1 || f.Streams[0].Current != 1 || f.Ahead == nil || f.Ahead.Abs() > time.Minute {
		t.Errorf("%+v, ahead %v, %v", f.Streams, f.Ahead, err)
	}
	if err := natsconn.TryStream(t.Context(), c, "A"); err == nil {
		t.Error("a stream that is there was tried")
	}
	denied := connected(t, true, &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}}})
	if err := natsconn.TryStream(t.Context(), denied.Within(time.Second), "A"); err == nil || !strings.Contains(err.Error(), "Permissions Violation") {
		t.Errorf("%v, want a violation", err)
	}
}
