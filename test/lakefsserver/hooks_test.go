package lakefsserver_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// hooks is a webhook that knows what it was called for.
type hooks struct {
	URL string

	mu     sync.Mutex
	events []string // event and branch
	refuse string   // the event that is refused
	called func(event string)
}

// newHooks starts one. Called, if not nil, runs before each answer.
func newHooks(t *testing.T, called func(event string)) *hooks {
	t.Helper()
	h := &hooks{called: called}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.URL = server.URL
	return h
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Type   string `json:"event_type"`
		Branch string `json:"branch_id"`
	}
	_ = json.NewDecoder(r.Body).Decode(&event) // a test that wants events misses them
	what := event.Type + " " + event.Branch
	h.mu.Lock()
	h.events = append(h.events, what)
	refused := h.refuse == what
	h.mu.Unlock()
	if h.called != nil {
		h.called(what)
	}
	if refused {
		w.WriteHeader(http.StatusForbidden)
	}
}

// take returns the events so far, and forgets them.
func (h *hooks) take() (events []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	events, h.events = h.events, nil
	return events
}

// refuses makes the webhook refuse an event on a branch.
func (h *hooks) refuses(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = what
}

// install commits a file to main that calls the webhook at events, and returns a branch at that
// commit. LakeFS keeps what files it found under the name of a ref for some seconds, so that
// actions of main would come late.
func (h *hooks) install(t *testing.T, repo lakefstest.Repository, events ...string) (branch string) {
	t.Helper()
	text := "name: hooks\non:\n"
	for _, e := range events {
		text += "  " + e + ":\n"
	}
	text += "hooks:\n  - id: hook\n    type: webhook\n    properties:\n      timeout: 5m\n      url: " + h.URL + "\n"
	repo.PutContent(t, "main", "_lakefs_actions/hooks.yaml", text)
	repo.CommitAll(t, "main", "hooks")
	repo.In(t, "POST", "/branches", object{"name": "target", "source": repo.Head(t, "main")}).Is(t, http.StatusCreated, "")
	h.take()
	return "target"
}

var preEvents = []string{"pre-create-branch", "prepare-commit", "pre-commit", "pre-merge", "pre-delete-branch"}

// Trap C: the hooks of a landing, none of which is pre-commit of the target.
func TestHooksOfALanding(t *testing.T) {
	repo, h := start(t), newHooks(t, nil)
	target := h.install(t, repo, preEvents...)
	base := repo.Head(t, target)
	metarange := tree(t, repo, target, []string{"data/new"}, nil)
	h.take()

	stage(t, repo, base, metarange)
	repo.In(t, "POST", "/refs/"+hidden+"/merge/"+target, landingBody(nil)).Is(t, http.StatusOK, "")
	dropHidden(t, repo)
	want := []string{"pre-create-branch rf-x", "prepare-commit rf-x", "pre-commit rf-x", "pre-merge target", "pre-delete-branch rf-x"}
	if got := h.take(); !slices.Equal(got, want) {
		t.Errorf("hooks %q, want %q", got, want)
	}

	stage(t, repo, base, tree(t, repo, target, []string{"data/other"}, nil))
	h.refuses("pre-merge target")
	repo.In(t, "POST", "/refs/"+hidden+"/merge/"+target, landingBody(nil)).Is(t, http.StatusPreconditionFailed, "pre-merge hook aborted")
}

// Trap C: lakeFS's own import does call pre-commit of its target.
func TestHooksOfAnImportOfLakeFS(t *testing.T) {
	repo, h := start(t), newHooks(t, nil)
	target := h.install(t, repo, preEvents...)
	source := strings.TrimPrefix(namespaces(t), "s3://") + "-source"
	expect.NoError(t, ceph.Load(t.Context(), source, []string{"x"}))
	h.refuses("pre-commit target")
	message := lakefsImport(t, repo, target, "s3://"+source+"/", "data/")
	if !strings.Contains(message, "pre-commit hook aborted") {
		t.Errorf("the import fails with %q", message)
	}
	if got := h.take(); !slices.Equal(got, []string{"pre-commit target"}) {
		t.Errorf("hooks %q", got)
	}
}

// lakefsImport has lakeFS import a prefix, and returns the error that it ends with, if any.
func lakefsImport(t *testing.T, repo lakefstest.Repository, branch, source, destination string) (message string) {
	t.Helper()
	a := repo.In(t, "POST", "/branches/"+branch+"/import", object{
		"paths":  []object{{"type": "common_prefix", "path": source, "destination": destination}},
		"commit": object{"message": "m"},
	}).Is(t, http.StatusAccepted, "")
	id := lakefstest.Into[struct{ ID string }](t, a).ID
	expect.Eventually(t, "import ended", func() bool {
		a := repo.In(t, "GET", "/branches/"+branch+"/import?id="+id, nil).Is(t, http.StatusOK, "")
		status := lakefstest.Into[struct {
			Completed bool
			Error     struct{ Message string }
		}](t, a)
		message = status.Error.Message
		return status.Completed || message != ""
	})
	return message
}
