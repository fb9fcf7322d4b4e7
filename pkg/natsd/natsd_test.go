package natsd_test

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/fulldisk"
	"github.com/rangefleet/rangefleet/pkg/natsd"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func TestInProcessServerHasNoPort(t *testing.T) {
	s := queuetest.StartServer(t, natsd.Config{StoreDir: t.TempDir()})
	if got := s.ClientURL(); got != "" {
		t.Errorf("ClientURL() = %q of a server that does not listen", got)
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	expect.NoError(t, err)
	defer nc.Close()
	if got, want := nc.ConnectedServerName(), "rangefleet"; got != want {
		t.Errorf("server name = %q, want %q", got, want)
	}
}

func TestSecondServerOnDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := queuetest.StartServer(t, natsd.Config{StoreDir: dir})
	_, err := natsd.Start(natsd.Config{StoreDir: dir})
	if err == nil || !strings.Contains(err.Error(), dir+": the directory is in use") {
		t.Fatalf("second server: %v, want an error that names %s", err, dir)
	}
	expect.NoError(t, first.Shutdown())
	queuetest.StartServer(t, natsd.Config{StoreDir: dir})
}

func TestAcknowledgedMessageSurvivesRestartOnSamePort(t *testing.T) {
	dir := t.TempDir()
	first, login := queuetest.StartListening(t, dir, "127.0.0.1:0")
	key, err := nats.NkeyOptionFromSeed(login.SeedFile)
	expect.NoError(t, err)
	nc, err := nats.Connect(first.ClientURL(), key, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	expect.NoError(t, err)
	defer nc.Close()
	js, err := nc.JetStream()
	expect.NoError(t, err)
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	listen := strings.TrimPrefix(first.ClientURL(), "nats://")
	reconnected := make(chan struct{})
	nc.SetReconnectHandler(func(*nats.Conn) { close(reconnected) })
	expect.NoError(t, first.Shutdown())
	queuetest.StartListening(t, dir, listen)
	select {
	case <-reconnected:
	case <-time.After(30 * time.Second):
		t.Fatal("client did not reconnect")
	}
	msg, err := js.GetLastMsg("S", "s")
	if err != nil || string(msg.Data) != "kept" {
		t.Fatalf("after restart: %v, %v", msg, err)
	}
}

func TestStartNamesWhatIsWrong(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer func() { _ = busy.Close() }()
	for name, tc := range map[string]struct {
		cfg  natsd.Config
		want string
	}{
		"no directory": {natsd.Config{}, "store directory"},
		"no port":      {natsd.Config{StoreDir: t.TempDir(), Listen: "localhost"}, "localhost"},
		"bad port":     {natsd.Config{StoreDir: t.TempDir(), Listen: "localhost:nats"}, `"nats"`},
		"port in use":  {natsd.Config{StoreDir: t.TempDir(), Listen: busy.Addr().String()}, "in use"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cfg.Log = slog.New(slog.DiscardHandler)
			s, err := natsd.Start(tc.cfg)
			if err == nil {
				_ = s.Shutdown()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not hold %q", err, tc.want)
			}
		})
	}
}

func TestAnOpenListenAddressIsLogged(t *testing.T) {
	for listen, warned := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true} {
		var out bytes.Buffer
		queuetest.StartServer(t, natsd.Config{StoreDir: t.TempDir(), Listen: listen, Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		if got := strings.Contains(out.String(), "without authentication"); got != warned {
			t.Errorf("%s: warned = %v, want %v: %s", listen, got, warned, out.String())
		}
	}
}

// A server that met a full disk reports it, even when there is room again, until it is
// restarted; then it stores again.
func TestErrReportsAFullDiskUntilTheNextStart(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	dir := t.TempDir()
	first := queuetest.StartServer(t, natsd.Config{StoreDir: dir})
	js := stream(t, first)
	expect.NoError(t, first.Err())
	end := fulldisk.Begin(t)
	if _, err := js.Publish("s", make([]byte, fulldisk.Size), nats.AckWait(100*time.Millisecond)); err == nil {
		t.Error("a failed write is acknowledged")
	}
	end()
	if err := first.Err(); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "write error") {
		t.Errorf("after a write that failed: %v", err)
	}
	expect.NoError(t, first.Shutdown())
	second := queuetest.StartServer(t, natsd.Config{StoreDir: dir})
	if _, err := stream(t, second).Publish("s", []byte("kept")); err != nil || second.Err() != nil {
		t.Errorf("after the next start: %v, %v", err, second.Err())
	}
}

// stream creates a stream of the subject "s" and returns a client.
func stream(t *testing.T, s *natsd.Server) nats.JetStreamContext {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	expect.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := nc.JetStream()
	expect.NoError(t, err)
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	return js
}
