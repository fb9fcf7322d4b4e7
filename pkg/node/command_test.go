package node_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/node"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

func TestConfigPrintHidesSecrets(t *testing.T) {
	t.Setenv("RANGEFLEET_AUTH_ACCESS_KEY_ID", "me")
	t.Setenv("RANGEFLEET_AUTH_SECRET_ACCESS_KEY", "s3cr3t")
	t.Setenv("RANGEFLEET_S3_ACCESS_KEY_ID", "key")
	t.Setenv("RANGEFLEET_S3_SECRET_ACCESS_KEY", "t0psecret")
	t.Setenv("RANGEFLEET_NATS_URL", "nats://user:hunter2@nats.example:4222")
	ran := false
	run := func(context.Context, node.Env) error { ran = true; return nil }
	var out bytes.Buffer
	cmd := node.Command("coordinator", "short", settings.Coordinator, run)
	cmd.SetArgs([]string{"config", "print", "--workers", "3"})
	cmd.SetOut(&out)
	if code := node.Main(cmd); code != 0 || ran {
		t.Fatalf("exit code %d, ran %t", code, ran)
	}
	for _, want := range []string{"nats.example:4222", "me", "key", "flag --workers", "environment RANGEFLEET_S3_ACCESS_KEY_ID"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	for _, hidden := range []string{"s3cr3t", "t0psecret", "hunter2"} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("it shows %q", hidden)
		}
	}
}

func TestCommand(t *testing.T) {
	for _, tc := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"--listen", "127.0.0.1:7"}, 0, ""},
		{[]string{"--no-such-flag"}, 1, "coordinator: unknown flag"},
		{[]string{"argument"}, 1, "coordinator: unknown command"},
		{[]string{"--listen", "nowhere"}, 1, "listen"},
		{[]string{"config", "pint"}, 1, "coordinator: unknown command"},
	} {
		var got settings.Settings
		cmd := node.Command("coordinator", "short", settings.Coordinator, func(_ context.Context, env node.Env) error {
			got = env.Settings
			return nil
		})
		var stderr bytes.Buffer
		cmd.SetErr(&stderr)
		cmd.SetArgs(tc.args)
		if code := node.Main(cmd); code != tc.code || !strings.Contains(stderr.String(), tc.stderr) {
			t.Errorf("%q: exit code %d and %q, want %d and %q", tc.args, code, stderr.String(), tc.code, tc.stderr)
		}
		if tc.code == 0 && got.Listen != "127.0.0.1:7" {
			t.Errorf("%q: settings %+v", tc.args, got)
		}
	}
}

func TestLogger(t *testing.T) {
	for format, want := range map[string]string{"text": "msg=hello", "json": `"msg":"hello"`, "auto": `"msg":"hello"`} {
		var out bytes.Buffer
		log := node.NewLogger(settings.Log{Level: slog.LevelInfo, Format: format}, "lake", &out)
		log.Debug("whisper")
		log.Info("hello", "delay", 1500*time.Millisecond)
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "1.5s") || strings.Contains(out.String(), "whisper") {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}
