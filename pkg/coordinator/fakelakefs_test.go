package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
)

// said is an answer of a server: a status and its words. The zero value is none.
type said struct {
	status int
	words  string
}

// fakeServer is a lakeFS server with the repository repo, whose branch is main. It knows what
// a landing asks for.
type fakeServer struct {
	metrics *prometheus.Registry // of the calls that it answers

	mu        sync.Mutex
	instead   func(call string) said // answers instead of the server; nil: nothing does
	calls     []string               // method, path, path of the object and user of each call
	created   int64                  // of the repository
	namespace string
	stored    func(metarange string) bool
	elsewhere string // namespace of another repository
	hook      bool   // there is a pre-commit hook
	branches  map[string]lakefs.Commit
	commits   map[string]lakefs.Commit
}

func newFakeServer() *fakeServer {
	base := lakefs.Commit{ID: "base"}
	return &fakeServer{
		metrics: prometheus.NewRegistry(),
		created: 1, namespace: "s3://repo/ns", elsewhere: "local://elsewhere", branches: map[string]lakefs.Commit{"main": base}, commits: map[string]lakefs.Commit{base.ID: base},
	}
}

// answers lets a function answer instead of the server from now on.
func (f *fakeServer) answers(instead func(call string) said) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead, f.calls = instead, nil
}

// change changes what is on the server.
func (f *fakeServer) change(change func(*fakeServer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// count returns how many calls had the text, since the last call of answers.
func (f *fakeServer) count(text string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if strings.Contains(c, text) {
			n++
		}
	}
	return n
}

func (f *fakeServer) hidden() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.branches {
		if name != "main" {
			names = append(names, name)
		}
	}
	return names
}

// body is what a landing sends.
type fakeBody struct {
	Name, Source, Strategy string
	Metadata               map[string]string
	AllowEmpty             bool `json:"allow_empty"`
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1")
	user, _, _ := r.BasicAuth()
	seen := call + " " + r.URL.Query().Get("path") + " by " + user
	f.calls = append(f.calls, seen)
	var body fakeBody
	_ = json.NewDecoder(r.Body).Decode(&body) // most have none
	var a said
	if f.instead != nil {
		a = f.instead(seen)
	}
	var v any = map[string]string{"message": a.words}
	if a.status == 0 {
		a.status, v = f.answer(call, r, body)
	}
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(v) // who asked is gone
}

func (f *fakeServer) answer(call string, r *http.Request, body fakeBody) (status int, v any) {
	rest := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/v1"), "/repositories/repo")
	element := strings.Split(rest, "/") // the first is ""
	repository := lakefs.Repository{ID: "repo", StorageNamespace: f.namespace, Created: f.created}
	switch {
	case call == "GET /repositories":
		return 200, map[string]any{"results": []lakefs.Repository{{ID: "elsewhere", StorageNamespace: f.elsewhere}, repository}}
	case rest == "":
		return 200, repository
	case body.Strategy == "none":
		return 400, map[string]string{"message": "argument strategy: invalid value"}
	case strings.HasPrefix(call, "GET /auth/users/"):
		return 200, map[string]string{}
	case strings.HasSuffix(rest, "/stage_allowed"), strings.HasPrefix(call, "POST") && rest == "/metadata":
		return 204, nil
	case strings.HasSuffix(rest, "/ls") && f.hook:
		return 200, map[string]any{"results": []map[string]string{{"path": "_lakefs_actions/a.yaml", "path_type": "object"}}}
	case strings.HasSuffix(rest, "/ls"):
		return 200, map[string]any{}
	case strings.HasSuffix(rest, "/objects"):
		return 200, map[string]any{"on": map[string]any{"pre-commit": nil}} // JSON is YAML, too
	case strings.HasPrefix(call, "POST") && element[1] == "branches":
		return f.write(element, r.URL.Query().Get("source_metarange"), body)
	}
	return f.more(call, element, body)
}

// write creates a branch, or commits a metarange to one.
func (f *fakeServer) write(element []string, metarange string, body fakeBody) (status int, v any) {
	switch {
	case len(element) == 2:
		f.branches[body.Name] = f.commits[body.Source]
		return 201, nil
	case !f.stored(metarange):
		return 500, map[string]string{"message": "the real server takes a tree that is not stored, and cannot delete its branch then"}
	}
	return 201, f.commit(element[2], metarange, nil)
}

// more answers further calls about branches and commits.
func (f *fakeServer) more(call string, element []string, body fakeBody) (status int, v any) {
	switch rest := strings.Join(element, "/"); {
	case strings.HasPrefix(call, "DELETE"):
		delete(f.branches, element[2])
		return 204, nil
	case element[1] == "branches":
		return 200, map[string]string{"commit_id": f.branches[element[2]].ID}
	case element[1] == "commits":
		return 200, f.commits[element[2]]
	case strings.HasSuffix(rest, "/commits"):
		return 200, map[string]any{"results": f.history()}
	}
	source, there := f.branches[element[2]]
	if !there {
		return 404, map[string]string{"message": "update branch main: get commit by ref " + element[2] + ": not found"}
	}
	if source.MetarangeID == f.branches["main"].MetarangeID && !body.AllowEmpty {
		return 400, map[string]string{"message": "update branch main: no changes"}
	}
	return 200, map[string]string{"reference": f.commit("main", source.MetarangeID, body.Metadata).ID}
}

func (f *fakeServer) commit(branch, metarange string, metadata map[string]string) lakefs.Commit {
	c := lakefs.Commit{ID: fmt.Sprintf("c%d", len(f.commits)), Parents: []string{f.branches[branch].ID}, MetarangeID: metarange, Metadata: metadata}
	f.branches[branch], f.commits[c.ID] = c, c
	return c
}

// history returns the commits of main, the newest first.
func (f *fakeServer) history() (all []lakefs.Commit) {
	for c := f.branches["main"]; ; c = f.commits[c.Parents[0]] {
		if all = append(all, c); len(c.Parents) == 0 {
			return all
		}
	}
}

// landed returns the metadata of the commits of imports on main, the newest first.
func (f *fakeServer) landed() (all []map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.history() {
		if c.Metadata[importKey] != "" {
			all = append(all, c.Metadata)
		}
	}
	return all
}

// serverImport is an import of an entry to a lakeFS server whose keys are all covered.
type serverImport struct {
	entry   entry.Entry
	fleet   *fleet
	lakefs  *fakeServer
	service *Service
	id      string
}

// newServerFleet returns a fleet whose repositories are on a server, and that server.
func newServerFleet(t *testing.T, e entry.Entry) (*fleet, *fakeServer) {
	t.Helper()
	fake := newFakeServer()
	s := httptest.NewServer(fake)
	t.Cleanup(s.Close)
	session, err := lakefs.Open(lakefs.Config{
		URL: s.URL, Registerer: fake.metrics, Sleep: func(context.Context, time.Duration) error { return nil },
	}, lakefs.Keys("account", "secret"))
	expect.NoError(t, err)
	f := fleetOn(t, queuetest.Start(t), new(kvtest.Memory), new(kvtest.Memory), memstore.Of([]entry.Entry{e}))
	fake.stored = func(metarange string) bool { return len(f.buckets["repo"].Keys("ns/_lakefs/"+metarange)) > 0 }
	f.config.LakeFS = session
	n := 0
	f.config.Landings.NewName = func() string { n++; return fmt.Sprintf("rf-%d", n) }
	return f, fake
}

func newServerImport(t *testing.T) *serverImport {
	t.Helper()
	return newServerImportBy(t, lakefs.Keys("caller", "secret"))
}

func newServerImportBy(t *testing.T, l lakefs.Login) *serverImport {
	t.Helper()
	e := entrytest.Random(rand.New(rand.NewPCG(1, 2)), 1)[0]
	f, fake := newServerFleet(t, e)
	s := f.service()
	t.Cleanup(s.close)
	i := &serverImport{entry: e, fleet: f, lakefs: fake, service: s}
	i.begin(l)
	return i
}

// begin starts the import, again if it was started before.
func (i *serverImport) begin(l lakefs.Login) {
	i.fleet.t.Helper()
	t, f := i.fleet.t, i.fleet
	r := request("", "")
	r.Login = l
	i.id = f.start(i.service, r)
	ranges, err := rangetest.Ranges([]entry.Entry{i.entry}, small)
	expect.NoError(t, err)
	w := rangewriter.New(t.Context(), f.files(), small, rangewriter.Options{})
	defer w.Close()
	expect.NoError(t, w.Write(entrytest.Batch(i.entry)))
	expect.NoError(t, w.Flush())
	covers := f.backend.Covers
	expect.NoError(t, covers.Publish(t.Context(), i.id, "p", partition.Cover{Span: partition.Span{Upto: i.entry.Key}, Range: &ranges[0]}))
	expect.NoError(t, covers.Publish(t.Context(), i.id, "p", partition.Cover{Span: partition.Span{After: i.entry.Key}}))
	plan(f, i.id, objectstore.Parallel, []partition.Partition{partition.Whole(i.id)})
}

// driver returns a new driver of the import, to which all covers have come.
func (i *serverImport) driver(s *Service) *driver {
	d := s.newDriver(i.id, root)
	if d == nil {
		i.fleet.t.Fatal("the import is not followed")
	}
	d.progress.Await(i.fleet.t.Context(), 2)
	return d
}

// fails lets a driver take a step, which must fail with the text and not end the import.
func (i *serverImport) fails(d *driver, text string) {
	i.fleet.t.Helper()
	ended, err := d.step(i.fleet.t.Context())
	if ended || err == nil || !strings.Contains(err.Error(), text) {
		i.fleet.t.Fatalf("step: %t, %v, want the error %q", ended, err, text)
	}
	d.failures++
}

// failsToTheEnd lets steps of a driver fail with the text until the import may be given up.
func (i *serverImport) failsToTheEnd(d *driver, text string) {
	i.fleet.t.Helper()
	for d.failures < maxFailures {
		i.fails(d, text)
	}
}

// ends lets a driver take a step, which must end the import.
func (i *serverImport) ends(d *driver) imports.Record {
	i.fleet.t.Helper()
	if ended, err := d.step(i.fleet.t.Context()); !ended || err != nil {
		i.fleet.t.Fatalf("step: %t, %v, want the end", ended, err)
	}
	return i.fleet.record(i.id)
}
