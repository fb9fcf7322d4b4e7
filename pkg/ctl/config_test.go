package ctl

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/client"
)

// TestAccess checks which endpoint is called, and with which keys.
func TestAccess(t *testing.T) {
	const pair = "access_key_id: FK\nsecret_access_key: FS\n"
	for _, c := range []struct {
		name string
		file string // $URL is the coordinator's
		mode os.FileMode
		env  map[string]string // over none; $URL likewise
		args string
		code ExitCode
		as   string // the request, or what is said
	}{
		{name: "file alone", file: "endpoint: $URL\n" + pair, code: OK, as: "FK:FS"},
		{
			name: "environment over file", file: "endpoint: http://elsewhere\n" + pair,
			env: map[string]string{envEndpoint: "$URL", envKey: "EK", envSecret: "ES"}, code: OK, as: "EK:ES",
		},
		{
			name: "flag over environment", env: map[string]string{envEndpoint: "http://elsewhere", envKey: "EK", envSecret: "ES"},
			args: "--endpoint $URL", code: OK, as: "EK:ES",
		},
		{name: "a file without an endpoint is for any", file: pair, args: "--endpoint $URL", code: OK, as: "FK:FS"},
		{name: "the file's keys go nowhere else", file: "endpoint: http://elsewhere\n" + pair, args: "--endpoint $URL", code: OK, as: ":"},
		{name: "half a pair", file: "endpoint: $URL\n" + pair, env: map[string]string{envKey: "EK"}, code: Usage, as: "set both or none"},
		{name: "a token over the file", file: "endpoint: $URL\n" + pair, env: map[string]string{envToken: "ey.J.x"}, code: OK, as: "token:ey.J.x"},
		{name: "a token and keys", env: map[string]string{envToken: "t", envKey: "EK", envSecret: "ES"}, code: Usage, as: "set one of them"},
		{name: "others may read it", file: pair, mode: 0o640, code: Usage, as: "(mode 0640): run chmod 600 "},
		{name: "no secret in it", file: "endpoint: $URL\n", mode: 0o644, code: OK, as: ":"},
		{name: "unknown key", file: "endpoimt: x\n", code: Usage, as: "rangectl.yaml: line 1: field endpoimt is unknown\n"},
		{name: "empty file", file: "# nothing\n", args: "--endpoint $URL", code: OK, as: ":"},
	} {
		t.Run(c.name, func(t *testing.T) {
			co := newCoordinator(t, map[string][]string{"GET /repositories/demo": {`200 {"id":"demo"}`}})
			m := newMachine(t, co)
			m.env = map[string]string{envConfig: m.env[envConfig]}
			for name, text := range c.env {
				m.env[name] = strings.ReplaceAll(text, "$URL", co.URL)
			}
			if c.file != "" {
				writeFile(t, m.env[envConfig], strings.ReplaceAll(c.file, "$URL", co.URL), c.mode)
			}
			args := strings.Fields("repo get demo " + strings.ReplaceAll(c.args, "$URL", co.URL))
			code := Run(context.Background(), m.system(), args)
			if code != c.code {
				t.Errorf("exit %d, want %d: %s", code, c.code, m.err.String())
			}
			if requests := strings.Join(co.seen(), "\n"); code == OK && requests != "GET /repositories/demo as "+c.as {
				t.Errorf("asked %q, want it as %q", requests, c.as)
			}
			if code != OK && (!strings.Contains(m.err.String(), c.as) || len(co.seen()) > 0) {
				t.Errorf("said %q and asked %q, want only %q", m.err.String(), co.seen(), c.as)
			}
		})
	}
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if mode == 0 {
		mode = 0o600
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func TestLogin(t *testing.T) {
	list := map[string][]string{"GET /user": {`200 {"user":{"id":"ann","creation_date":0}}`}}
	t.Run("prompts, then every command knows", func(t *testing.T) {
		co := newCoordinator(t, list)
		m := newMachine(t, co)
		m.env = map[string]string{"HOME": t.TempDir()}
		m.in = co.URL + "\nFK\nF S\n"
		if code := Run(context.Background(), m.system(), []string{"login"}); code != OK {
			t.Fatalf("exit %d: %s", code, m.err.String())
		}
		path := m.env["HOME"] + "/.config/rangectl.yaml"
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", info, err)
		}
		if strings.Contains(m.err.String()+m.out.String(), "F S") {
			t.Errorf("the secret was shown: %q", m.err.String())
		}
		Run(context.Background(), m.system(), []string{"repo", "get", "demo"})
		if got := co.seen()[1]; got != "GET /repositories/demo as FK:F S" {
			t.Errorf("the next command asked %q", got)
		}
	})
	t.Run("from the environment, no prompt", func(t *testing.T) {
		co := newCoordinator(t, list)
		m := newMachine(t, co)
		if code := Run(context.Background(), m.system(), []string{"login"}); code != OK {
			t.Fatalf("exit %d: %s", code, m.err.String())
		}
		if file, err := readAccess(m.env[envConfig]); err != nil || file != (access{Endpoint: co.URL, AccessKeyID: "AK", SecretAccessKey: "SK"}) {
			t.Errorf("stored %+v, %v", file, err)
		}
	})
	for name, c := range map[string]struct {
		in   string
		code ExitCode
	}{
		"wrong keys are not stored": {"FK\nFS\n", Failed},
		"no answer":                 {"", Usage},
		"empty secret":              {"FK\n\n", Usage},
	} {
		t.Run(name, func(t *testing.T) {
			co := newCoordinator(t, map[string][]string{"GET /user": {`401 {"message":"error authenticating request"}`}})
			m := newMachine(t, co)
			delete(m.env, envKey)
			delete(m.env, envSecret)
			m.in = c.in
			if code := Run(context.Background(), m.system(), []string{"login"}); code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			if _, err := os.Stat(m.env[envConfig]); err == nil {
				t.Error("a file was written")
			}
		})
	}
}

// Other keys are suggested only to a user that the service does not know.
func TestHintOfRefusals(t *testing.T) {
	for message, want := range map[string]bool{
		"error authenticating request":                             true,
		"insufficient permissions: not allowed to fs:ImportCancel": false,
		"denied permission to fs:WriteObject":                      false,
	} {
		err := hinted(&client.Error{Status: 401, Message: message})
		told, ok := errors.AsType[*advised](err)
		if ok != want || ok && !strings.Contains(told.hint, "rangectl login") {
			t.Errorf("hinted: %v", err)
		}
	}
}
