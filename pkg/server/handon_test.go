package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/server"
)

// An import from a store that is not listed here is handed on as it was sent, if the settings say
// so. All others are served here, with their bodies.
func TestProxyHandsOnImportsFromOtherSources(t *testing.T) {
	echo := func(who string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %v", who, body, err)
		}
	}
	paths := func(sources ...string) string {
		var all []map[string]string
		for _, s := range sources {
			all = append(all, map[string]string{"type": "common_prefix", "path": s, "destination": "d/"})
		}
		text, _ := json.Marshal(map[string]any{"paths": all, "commit": map[string]string{"message": "m"}}) // strings always can be
		return string(text)
	}
	long := paths("gs://b/", "s3://b/"+strings.Repeat("x", 70<<10))
	for _, on := range []bool{false, true} {
		p := newProxied(t, echo("theirs"), func(c *server.ProxyConfig) { c.OtherSources = on })
		p.ours = echo("ours")
		for body, others := range map[string]bool{
			paths("s3://b/"): false, paths("local:///d/"): false, paths("gs://b/"): true, paths("gs://b/", "https://a.blob.core.windows.net/c/"): true,
			paths("s3://b/", "gs://b/"): false, paths("gs://b/", "s3://b/"): false, paths("S3://b/"): false, paths("gs://b/", "Local:///d/"): false, paths("\u017f3://b/"): false,
			`{"paths":[{"path":"gs://b"},{"path":"s3://b","path":null}]}`: false, `{"paths":[{"path":"gs://b"}],"Paths":[{"path":"s3://b"}]}`: false,
			paths("no URI"): false, paths(): false, "": false, "no JSON gs://": false, `{"source_uri":"gs://b/"}`: false, `{"paths":[{},{"path":"gs:\/\/b"}]}`: true, long: false,
		} {
			want := "ours"
			if on && others {
				want = "theirs"
			}
			resp, err := http.Post(p.url+importURL, "application/json", strings.NewReader(body))
			expect.NoError(t, err)
			got, err := io.ReadAll(resp.Body)
			expect.NoError(t, errors.Join(err, resp.Body.Close()))
			if string(got) != want+" "+body+" <nil>" {
				t.Errorf("hand on %v: %.100s is answered %.100s, want %s", on, body, got, want)
			}
		}
	}
}

// What could be a dry run is refused where lakeFS would import.
func TestProxyHandsOnNothingThatCouldBeADryRun(t *testing.T) {
	const paths, message = `"paths":[{"path":"gs://b/"}],"commit":{"message":"m"}`, "dry_run: true is not supported"
	long := `{"dry_run":true,"commit":{"message":"` + strings.Repeat("m", 64<<10) + `"},` + paths + `}`
	for _, c := range []struct {
		name    string
		body    io.Reader // of an unknown length unless it is a *strings.Reader
		code    int
		want    string
		without string // answered by ours without hand_back; "": as with it
	}{
		{"text", strings.NewReader(`{` + paths + `,"dry_run":"yes"}`), 400, message, ""},
		{"a number", strings.NewReader(`{` + paths + `,"dry_run":1}`), 400, message, ""},
		{"something after it", strings.NewReader(`{` + paths + `,"dry_run":true} x`), 400, message, ""},
		{"wrong paths", strings.NewReader(`{"paths":7,"dry_run":true}`), 400, message, "ours"},
		{"false", strings.NewReader(`{` + paths + `,"dry_run":false}`), 200, "theirs", ""},
		{"null", strings.NewReader(`{` + paths + `,"dry_run":null}`), 200, "theirs", ""},
		{"no JSON", strings.NewReader(`{` + paths + `,"dry_run":true`), 200, "theirs", "ours"},
		{"a long body", strings.NewReader(long), 413, "more than 65536 bytes", "ours"},
		{"a body of an unknown length", io.MultiReader(strings.NewReader(`{` + paths + `}`)), 411, "Content-Length is missing", "ours"},
	} {
		for _, handBack := range []bool{true, false} {
			p := newProxied(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "theirs") }, func(config *server.ProxyConfig) { config.HandBack, config.OtherSources = handBack, true })
			p.ours = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ours") })
			if s, ok := c.body.(*strings.Reader); ok {
				_, err := s.Seek(0, io.SeekStart)
				expect.NoError(t, err)
			} else {
				c.body = io.MultiReader(strings.NewReader(`{` + paths + `}`))
			}
			resp, err := http.Post(p.url+importURL, "application/json", c.body)
			expect.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			expect.NoError(t, errors.Join(err, resp.Body.Close()))
			code, want := c.code, c.want
			if !handBack && c.without != "" {
				code, want = http.StatusOK, c.without
			}
			if resp.StatusCode != code || !strings.Contains(string(text), want) {
				t.Errorf("%s, hand back %t: %d %s, want %d %s", c.name, handBack, resp.StatusCode, text, code, want)
			}
		}
	}
}

// lakeFS has no dry runs and would import, so a dry run is never handed to it.
func TestProxyHandsOnNoDryRun(t *testing.T) {
	for _, c := range []struct {
		handBack bool
		source   string
		want     string
	}{
		{true, "s3://b/", "refused"}, {false, "gs://b/", "refused"}, {false, "s3://b/", "ours"},
	} {
		p := newProxied(t, theirs, func(config *server.ProxyConfig) { config.HandBack, config.OtherSources = c.handBack, true })
		body := `{"paths":[{"path":"` + c.source + `"}],"commit":{"message":"m"},"dry_run":true}`
		resp, err := http.Post(p.url+importURL, "application/json", strings.NewReader(body))
		expect.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		expect.NoError(t, errors.Join(err, resp.Body.Close()))
		got, _, _ := strings.Cut(string(text), " ")
		if resp.StatusCode == http.StatusBadRequest && strings.Contains(string(text), "dry_run") {
			got = "refused"
		}
		if got != c.want {
			t.Errorf("hand back %v: a dry run from %s is answered %d %s, want %s", c.handBack, c.source, resp.StatusCode, text, c.want)
		}
	}
}
