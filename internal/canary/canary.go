// Package canary finds out whether secrets of tests reach what processes write. Test suites plant
// their secrets and copy the output in a directory that TEST_SECRETS names; at their end Check
// looks for the one in the other. Without that variable nothing is done.
package canary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// variable names the directory.
const variable = "TEST_SECRETS"

// shortest is the length in bytes of the shortest secret that is planted. Shorter ones are in
// ordinary text.
const shortest = 12

// Files of the directory.
const (
	secretsFile  = "secrets"
	outputPrefix = "output-"
)

func dir() string { return os.Getenv(variable) }

// add appends to a file of the directory. Appends of several processes do not mix.
func add(name string, text []byte) {
	dir := dir()
	if dir == "" || len(text) == 0 {
		return
	}
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		panic(fmt.Errorf("canary: %w", err)) // a suite that is not watched must not pass
	}
}

// Plant names texts that must not be in any output. Short ones are left out.
func Plant(secrets ...string) {
	for _, s := range secrets {
		if len(s) >= shortest && !strings.Contains(s, "\n") {
			add(secretsFile, []byte(s+"\n"))
		}
	}
}

// output adds to what processes have written.
func output(text []byte) { add(fmt.Sprintf("%s%d", outputPrefix, os.Getpid()), text) }

// writer takes what a process writes. The zero value is ready. Write may be called concurrently,
// and never fails.
type writer struct {
	mu   sync.Mutex
	rest []byte // a line without an end
}

// announced matches the one line of a coordinator that may have a secret: of a new key, which a
// person must see.
var announced = regexp.MustCompile(`^secret key +(\S+)\n$`)

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if dir() == "" {
		return len(p), nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	var whole []byte
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte{'\n'})
		if !ok {
			break
		}
		line = w.rest[:len(line)+1]
		if m := announced.FindSubmatch(line); m != nil {
			Plant(string(m[1]))
		} else {
			whole = append(whole, line...)
		}
		w.rest = rest
	}
	output(whole)
	return len(p), nil
}

// Tee returns a writer to w, which copies to the outputs if suites are watched.
func Tee(w io.Writer) io.Writer {
	if dir() == "" {
		return w
	}
	return io.MultiWriter(w, new(writer))
}

// secretName matches the names of environment variables whose values are secrets.
var secretName = regexp.MustCompile(`SECRET_ACCESS_KEY=|PASSWORD=|_SEED=|CLIENT_SECRET=`)

// userinfo matches the password in a URL.
var userinfo = regexp.MustCompile(`://[^/@\s]*:([^/@\s]+)@`)

// Environment plants the secrets of an environment.
func Environment(env []string) {
	for _, e := range env {
		if secretName.MatchString(e) {
			_, value, _ := strings.Cut(e, "=")
			Plant(value)
		}
		for _, m := range userinfo.FindAllStringSubmatch(e, -1) {
			Plant(m[1])
		}
	}
}

// request plants what a request shows.
func request(r *http.Request) {
	if _, secret, ok := r.BasicAuth(); ok {
		Plant(secret)
	}
	for _, v := range r.Header.Values("Authorization") {
		if kind, credentials, ok := strings.Cut(v, " "); ok && !strings.HasPrefix(kind, "AWS4") {
			Plant(strings.TrimSpace(credentials))
		}
	}
	for _, c := range r.Cookies() {
		Plant(c.Value)
	}
}

// Exchange plants what a request shows, unless it proves nothing, and what the answer tells its
// client alone. An error or metrics are output.
func Exchange(r *http.Request, code int, header http.Header, body []byte) {
	if code != http.StatusUnauthorized { // else it may have names in the place of secrets
		request(r)
	}
	for _, c := range (&http.Response{Header: header}).Cookies() {
		Plant(c.Value)
	}
	var told struct {
		Secret string `json:"secret_access_key"`
		Token  string `json:"token"`
	}
	if json.Unmarshal(body, &told) == nil {
		Plant(told.Secret, told.Token)
	}
	if code >= http.StatusBadRequest || strings.HasSuffix(r.URL.Path, "/metrics") {
		output(append(bytes.Clone(body), '\n'))
	}
}
