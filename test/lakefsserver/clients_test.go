package lakefsserver_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/generated"
	"github.com/rangefleet/rangefleet/internal/installed"
	"github.com/rangefleet/rangefleet/internal/process"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// TestClients makes each call of each client on a coordinator without lakeFS. docs/clients.md
// says how they ended; the flag -update writes it.
func TestClients(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.endpoint = startRangefleet(t, site.store.URL, lakefstest.Admin)
	clients := append(site.lakefsClients(), &client{name: "rangectl", run: site.rangectl})
	runClients(t, clients)
	checkEnds(t, clients)
	if !t.Failed() {
		generated.File(t, "../../docs/clients.md", site.document(t, clients))
	}
}

// TestClientsOnLakeFS shows that the cases of TestClients that work want what lakeFS does.
func TestClientsOnLakeFS(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.lakeFS = true
	blockstore := ceph
	blockstore.Endpoint = site.store.URL
	site.endpoint = lakefstest.Start(t, lakefstest.Config{Blockstore: blockstore}).Endpoint
	clients := site.lakefsClients()
	runClients(t, clients)
	checkEnds(t, clients)
}

// lakefsClients returns the clients of lakeFS.
func (s *site) lakefsClients() []*client {
	return []*client{
		{name: "lakectl", version: strings.TrimPrefix(lakefstest.Version, "v"), run: s.lakectl},
		{name: "lakefs", version: "0.16.0", run: s.python("highlevel.py")},
		{name: "lakefs-sdk", version: "1.88.0", run: s.python("generated.py", "lakefs_sdk")},
		{name: "lakefs-client", version: "0.110.0", run: s.python("generated.py", "lakefs_client")},
	}
}

// runClients runs the cases of clients, all at the same time.
func runClients(t *testing.T, clients []*client) {
	t.Helper()
	t.Run("calls", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.ends = c.run(t, c.name)
			})
		}
	})
}

// checkEnds reports what ended wrong.
func checkEnds(t *testing.T, clients []*client) {
	t.Helper()
	for _, c := range clients {
		for _, e := range c.ends {
			if e.Outcome == wrong {
				t.Errorf("%s: %s %s: %s", c.name, e.Operation, e.Call, e.Text)
			}
		}
	}
}

// client is a column of the document.
type client struct {
	name    string
	version string // "": that of this repository
	run     func(t *testing.T, name string) []end
	ends    []end
}

// end says how a call for an operation of the API ended.
type end struct {
	Operation string
	Call      string // as the client's users write it; "": it is named as the operation
	Outcome   string // works, refused, not offered, or wrong: not as the case wants it
	Text      string // what the client shows of a refusal, or what is wrong
}

// The outcomes of calls.
const (
	works      = "works"
	refused    = "refused"
	notOffered = "not offered"
	wrong      = "wrong"
)

// site is what the clients work with.
type site struct {
	endpoint   string
	lakeFS     bool   // it is that of a lakeFS server
	namespaces string // a bucket for the repositories
	source     string // a bucket: data/a, data/b and data/dir/c, and more/d; the content is the key
	held       string // a bucket whose listings end with the test
	rangectlAt string // the program
	store      *faultproxy.Proxy
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := site{namespaces: namespaces(t)}
	s.source, s.held = s.namespaces+"-source", s.namespaces+"-held"
	for bucket, keys := range map[string][]string{
		s.source: {"data/a", "data/b", "data/dir/c", "more/d"},
		s.held:   {"lakectl/a", "lakefs/a", "lakefs-sdk/a", "lakefs-client/a", "rangectl/a"},
	} {
		name := strings.TrimPrefix(bucket, "s3://")
		expect.NoError(t, ceph.CreateBucket(t.Context(), name))
		expect.NoError(t, ceph.Put(t.Context(), name, keys, func(key string) string { return key }))
	}
	s.rangectlAt = filepath.Join(t.TempDir(), "rangectl")
	expect.NoError(t, installed.Run(exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", s.rangectlAt, "./cmd/rangectl")))
	s.store = faultproxy.Start(t, ceph.Endpoint)
	return &s
}

// hold returns a source that no import of a client reads to its end, and what is closed once
// it is listed.
func (s *site) hold(t *testing.T, client string) (uri string, reached <-chan struct{}) {
	t.Helper()
	hold, reached, release := faultproxy.Hold()
	t.Cleanup(release)
	bucket := regexp.QuoteMeta(strings.TrimPrefix(s.held, "s3://"))
	s.store.Add(faultproxy.Rule{Path: regexp.MustCompile("^/" + bucket + "/?[?].*prefix=" + client + "(%2F|/)"), Before: hold})
	return s.held + "/" + client + "/", reached
}

// python returns what runs the cases of a script of test/pyclient.
func (s *site) python(script string, args ...string) func(t *testing.T, name string) []end {
	return func(t *testing.T, name string) (ends []end) {
		t.Helper()
		held, _ := s.hold(t, name)
		cmd := exec.CommandContext(t.Context(), "../pyclient/python.sh", append([]string{filepath.Join("../pyclient", script)}, args...)...)
		cmd.Env = append(os.Environ(),
			"RANGEFLEET_HOST="+s.endpoint,
			"RANGEFLEET_ACCESS_KEY_ID="+lakefstest.Admin.AccessKeyID,
			"RANGEFLEET_SECRET_ACCESS_KEY="+lakefstest.Admin.SecretAccessKey,
			"RANGEFLEET_NAMESPACE="+s.namespaces+"/"+name,
			"RANGEFLEET_SOURCE_URI="+s.source+"/data/",
			"RANGEFLEET_MORE_URI="+s.source+"/more/",
			"RANGEFLEET_HELD_URI="+held,
		)
		if s.lakeFS {
			cmd.Env = append(cmd.Env, "RANGEFLEET_IS_LAKEFS=true")
		}
		var errors strings.Builder
		cmd.Stderr = &errors
		out, err := cmd.Output()
		for line := range strings.Lines(string(out)) {
			var e end
			expect.NoError(t, json.Unmarshal([]byte(line), &e))
			ends = append(ends, e)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, errors.String())
		}
		return ends
	}
}

// command is a case of a command line client.
type command struct {
	operation string // or several, with "; " between them
	call      string // the words of the command, as the document shows them
	args      string // those that follow; $name stands for a variable
	prints    string // a regular expression; its named groups become variables
	refused   string // if not "", Rangefleet refuses it: the command must fail, and print that
	notLakeFS bool   // it works on Rangefleet, and not on lakeFS
}

// variables are what commands know of those before them.
type variables map[string]string

// runCommands runs commands in their order. run returns what a command printed and its exit
// code.
func (s *site) runCommands(commands []command, vars variables, run func(args []string) (string, int)) (ends []end) {
	for _, c := range commands {
		if s.lakeFS && (c.refused != "" || c.notLakeFS) {
			continue
		}
		e := c.end(vars, run)
		for operation := range strings.SplitSeq(c.operation, "; ") {
			e.Operation = operation
			ends = append(ends, e)
		}
	}
	return ends
}

// end runs a command, and says how it ended.
func (c command) end(vars variables, run func(args []string) (string, int)) end {
	args := strings.Fields(os.Expand(c.call+" "+c.args, func(name string) string {
		return cmp.Or(vars[name], "none")
	}))
	prints := regexp.MustCompile(os.Expand(c.prints, func(name string) string { return regexp.QuoteMeta(vars[name]) }))
	out, code := run(args)
	found := prints.FindStringSubmatch(out)
	if (code != 0) != (c.refused != "") || !strings.Contains(out, c.refused) || found == nil {
		return end{Call: c.call, Outcome: wrong, Text: fmt.Sprintf("%s: exit code %d, want %q%s, printed:\n%s", strings.Join(args, " "), code, c.refused, c.prints, out)}
	}
	for i, name := range prints.SubexpNames() {
		if name != "" {
			vars[name] = found[i]
		}
	}
	if c.refused != "" {
		return end{Call: c.call, Outcome: refused, Text: out}
	}
	return end{Call: c.call, Outcome: works}
}

// rangectl runs the cases of rangectl.
func (s *site) rangectl(t *testing.T, name string) []end {
	t.Helper()
	held, _ := s.hold(t, name)
	key, err := json.Marshal(map[string]string{"access_key_id": lakefstest.Admin.AccessKeyID, "secret_access_key": lakefstest.Admin.SecretAccessKey})
	expect.NoError(t, err)
	login, err := http.Post(s.endpoint+"/api/v1/auth/login", "application/json", bytes.NewReader(key)) // a session to revoke
	expect.NoError(t, err)
	expect.NoError(t, login.Body.Close())
	vars := variables{"repo": "lakefs://rangectl", "namespace": s.namespaces + "/" + name, "source": s.source, "held": held}
	return s.runCommands(rangectlCommands, vars, func(args []string) (string, int) {
		cmd := exec.CommandContext(t.Context(), s.rangectlAt, args...)
		cmd.Env = process.Env(t.TempDir(),
			"RANGECTL_ENDPOINT="+s.endpoint,
			"RANGECTL_ACCESS_KEY_ID="+lakefstest.Admin.AccessKeyID,
			"RANGECTL_SECRET_ACCESS_KEY="+lakefstest.Admin.SecretAccessKey,
			"RANGEFLEET_S3_ENDPOINT="+s.store.URL, "RANGEFLEET_S3_FORCE_PATH_STYLE=true",
			"RANGEFLEET_S3_ACCESS_KEY_ID="+ceph.AccessKeyID, "RANGEFLEET_S3_SECRET_ACCESS_KEY="+ceph.SecretAccessKey,
		)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	})
}

// lakectl runs the cases of lakectl, and interrupts an import.
func (s *site) lakectl(t *testing.T, name string) []end {
	t.Helper()
	held, reached := s.hold(t, name)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	expect.NoError(t, os.WriteFile(file, []byte("new"), 0o600))
	policy := filepath.Join(dir, "policy.json")
	expect.NoError(t, os.WriteFile(policy, []byte(`{"statement":[{"effect":"allow","action":["fs:*"],"resource":"*"}]}`), 0o600))
	vars := variables{
		"repo": "lakefs://lakectl", "namespace": s.namespaces + "/" + name, "source": s.source, "dir": dir, "file": file, "policy": policy,
	}
	run := func(args []string) (string, int) { return lakefstest.Lakectl(t, s.endpoint, lakefstest.Admin, args...) }
	ends := s.runCommands(lakectlCommands, vars, run)

	cmd := lakefstest.LakectlCommand(t, s.endpoint, lakefstest.Admin, "import", "--no-progress", "--from", held, "--to", vars["repo"]+"/main/held/")
	cancel := end{Operation: "importCancel", Call: "import, Ctrl-C", Outcome: works}
	var printed strings.Builder
	cmd.Stdout, cmd.Stderr = &printed, &printed
	expect.NoError(t, cmd.Start())
	expect.Received(t, "listing of the source", reached)
	expect.NoError(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err == nil || !strings.Contains(printed.String(), "Import Canceled") {
		t.Errorf("%s ended with %v, and printed:\n%s", cmd, err, printed.String())
	}
	return append(append(ends, cancel), s.runCommands(append(lakectlUsers, lakectlDeletions...), vars, run)...)
}
