package login_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/process"
)

// coordinator is a coordinator process, with NATS and workers in it.
type coordinator struct {
	t    *testing.T
	url  string
	data string // directory that it may read and write
	*process.Process
}

// freeURL returns a URL at which nobody listens yet.
func freeURL(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	expect.NoError(t, err)
	return "http://" + address
}

// startCoordinator starts a coordinator with settings, in YAML, which must not say where it
// listens. It ends with t.
func startCoordinator(t *testing.T, url, settings string) coordinator {
	t.Helper()
	dir := t.TempDir()
	c := coordinator{t: t, url: url, data: filepath.Join(dir, "data")}
	file := filepath.Join(dir, "settings.yaml")
	expect.NoError(t, os.WriteFile(file, []byte(settings), 0o600))
	expect.NoError(t, os.Mkdir(c.data, 0o700))
	p, err := process.Start(func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "--config", file)
		cmd.Env = append(os.Environ(), "RANGEFLEET_LISTEN="+strings.TrimPrefix(url, "http://"),
			"RANGEFLEET_NATS_STORE_DIR="+filepath.Join(dir, "nats"), "RANGEFLEET_LOCAL_ALLOWED="+c.data)
		return cmd
	})
	expect.NoError(t, err)
	t.Cleanup(p.Kill)
	c.Process = p
	expect.Eventually(t, "the coordinator is ready", func() bool {
		a, err := http.Get(url + "/_ready")
		if err != nil {
			return false
		}
		return a.Body.Close() == nil && a.StatusCode == http.StatusOK
	})
	return c
}

// ask sends a request with a cookie, and decodes the answer, which must have a status, into a value.
func (c coordinator) ask(code int, method, path string, cookie *http.Cookie, body, into any) {
	c.t.Helper()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		expect.NoError(c.t, err)
		sent = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, sent)
	expect.NoError(c.t, err)
	r.Header.Set("Content-Type", "application/json")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	a, err := http.DefaultClient.Do(r)
	expect.NoError(c.t, err)
	defer a.Body.Close()
	answer, err := io.ReadAll(a.Body)
	expect.NoError(c.t, err)
	if a.StatusCode != code {
		c.t.Fatalf("%s %s is answered with %d %s, want %d\n%s", method, path, a.StatusCode, answer, code, c.Output())
	}
	if into != nil {
		expect.NoError(c.t, json.Unmarshal(answer, into))
	}
}

// object is the body of a request or an answer.
type object = map[string]any

// imports has the user of a cookie create a repository and import a file to it. It returns the
// user as the commit names it.
func (c coordinator) imports(cookie *http.Cookie) (committer string) {
	c.t.Helper()
	source := filepath.Join(c.data, "source")
	expect.NoError(c.t, os.Mkdir(source, 0o700))
	expect.NoError(c.t, os.WriteFile(filepath.Join(source, "hello.txt"), []byte("hello"), 0o600))
	c.ask(http.StatusCreated, http.MethodPost, "/api/v1/repositories", cookie, object{"name": "lake", "storage_namespace": "local://" + c.data + "/lake"}, nil)
	var started struct{ ID string }
	const branch = "/api/v1/repositories/lake/branches/main"
	c.ask(http.StatusAccepted, http.MethodPost, branch+"/import", cookie, object{
		"paths":  []object{{"type": "common_prefix", "path": "local://" + source + "/", "destination": "in/"}},
		"commit": object{"message": "by a browser's user"},
	}, &started)
	var status struct {
		Completed bool
		Error     object
		Commit    struct{ Committer string }
	}
	expect.Eventually(c.t, "the import completes", func() bool {
		c.ask(http.StatusOK, http.MethodGet, branch+"/import?id="+started.ID, cookie, nil, &status)
		return status.Completed || status.Error != nil
	})
	if status.Error != nil {
		c.t.Fatalf("the import failed: %v", status.Error)
	}
	return status.Commit.Committer
}

// runsExamples has the published Python client run the documented examples of all import
// operations, by the cookie of a scheme. imports has made their source.
func (c coordinator) runsExamples(scheme string, cookie *http.Cookie) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "../pyclient/python.sh", "../pyclient/examples.py")
	cmd.Env = append(os.Environ(), "CI=true", "RANGEFLEET_HOST="+c.url, "RANGEFLEET_SCHEME="+scheme, "RANGEFLEET_COOKIE="+cookie.String(),
		"RANGEFLEET_SOURCE_URI=local://"+c.data+"/source/", "RANGEFLEET_NAMESPACE=local://"+c.data)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Errorf("the examples of %s: %v\n%s", scheme, err, out)
	}
}
