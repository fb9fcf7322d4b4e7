package lakefstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Client makes calls of lakeFS's API as one user, each once. It may be used concurrently.
type Client struct {
	Endpoint string // without a path

	user User
	http *http.Client
}

// NewClient returns a client of the server, or of a proxy before it, at an endpoint. Each call
// has a connection of its own, for net/http repeats calls whose connection had been used before
// when that breaks.
func NewClient(endpoint string, user User) Client {
	return Client{Endpoint: endpoint, user: user, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string

	call string
}

// Try makes a call. The path starts after /api/v1, and may have a query. A body that is not
// nil is sent as JSON.
func (c Client) Try(t testing.TB, method, path string, body any) (Answer, error) {
	t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	return c.send(t, method, path, "application/json", reader)
}

func (c Client) send(t testing.TB, method, path, contentType string, body io.Reader) (Answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.Endpoint+"/api/v1"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(c.user.AccessKeyID, c.user.SecretAccessKey)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, strings.TrimSpace(string(text)), method + " " + path}, err
}

// Call makes a call that must be answered.
func (c Client) Call(t testing.TB, method, path string, body any) Answer {
	t.Helper()
	a, err := c.Try(t, method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Is ends the test unless the answer has that status and, if it is JSON with a message, the
// message has the text.
func (a Answer) Is(t testing.TB, status int, text string) Answer {
	t.Helper()
	if a.Status != status || !strings.Contains(a.Message(), text) {
		t.Fatalf("%s answers %d %s, want %d %s", a.call, a.Status, a.Body, status, text)
	}
	return a
}

// Message returns the message of an error, or the body if it has none.
func (a Answer) Message() string {
	var body struct{ Message string }
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil || body.Message == "" {
		return a.Body
	}
	return body.Message
}

// Into decodes an answer of JSON.
func Into[T any](t testing.TB, a Answer) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		t.Fatalf("%s answers %s: %v", a.call, a.Body, err)
	}
	return v
}

// Commit is a commit, as the API has it.
type Commit struct {
	ID          string            `json:"id"`
	Parents     []string          `json:"parents"`
	Committer   string            `json:"committer"`
	Message     string            `json:"message"`
	MetarangeID string            `json:"meta_range_id"`
	Generation  int               `json:"generation"`
	Metadata    map[string]string `json:"metadata"`
}

// Repository makes the calls of a client in one repository.
type Repository struct {
	Client
	Name      string
	Namespace string
}

// CreateRepository creates a repository with the branch main.
func (c Client) CreateRepository(t testing.TB, name, namespace string) Repository {
	t.Helper()
	c.Call(t, http.MethodPost, "/repositories", map[string]string{"name": name, "storage_namespace": namespace}).Is(t, http.StatusCreated, "")
	return Repository{c, name, namespace}
}

// As returns the repository as another user sees it, at another endpoint.
func (r Repository) As(endpoint string, user User) Repository {
	return Repository{NewClient(endpoint, user), r.Name, r.Namespace}
}

// In makes a call whose path starts in the repository.
func (r Repository) In(t testing.TB, method, path string, body any) Answer {
	t.Helper()
	return r.Call(t, method, "/repositories/"+r.Name+path, body)
}

// Put puts an object into a branch. Its content is its path and more.
func (r Repository) Put(t testing.TB, branch, path, more string) {
	t.Helper()
	r.PutContent(t, branch, path, path+more)
}

// PutContent puts an object with some content into a branch.
func (r Repository) PutContent(t testing.TB, branch, path, content string) {
	t.Helper()
	query := fmt.Sprintf("/repositories/%s/branches/%s/objects?path=%s", r.Name, branch, url.QueryEscape(path))
	a, err := r.send(t, http.MethodPost, query, "application/octet-stream", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	a.Is(t, http.StatusCreated, "")
}

// Head returns the commit ID of a branch.
func (r Repository) Head(t testing.TB, branch string) string {
	t.Helper()
	a := r.In(t, http.MethodGet, "/branches/"+branch, nil).Is(t, http.StatusOK, "")
	return Into[struct {
		CommitID string `json:"commit_id"`
	}](t, a).CommitID
}

// Commit returns a commit.
func (r Repository) Commit(t testing.TB, id string) Commit {
	t.Helper()
	return Into[Commit](t, r.In(t, http.MethodGet, "/commits/"+id, nil).Is(t, http.StatusOK, ""))
}

// Log returns the commits of a branch from its head on, along first parents.
func (r Repository) Log(t testing.TB, branch string) []Commit {
	t.Helper()
	a := r.In(t, http.MethodGet, "/refs/"+branch+"/commits?first_parent=true&amount=1000", nil).Is(t, http.StatusOK, "")
	return Into[struct{ Results []Commit }](t, a).Results
}

// Paths returns the paths of the objects of a ref, in order.
func (r Repository) Paths(t testing.TB, ref string) (paths []string) {
	t.Helper()
	a := r.In(t, http.MethodGet, "/refs/"+ref+"/objects/ls?amount=1000", nil).Is(t, http.StatusOK, "")
	for _, o := range Into[struct{ Results []struct{ Path string } }](t, a).Results {
		paths = append(paths, o.Path)
	}
	return paths
}

// CommitAll commits what was put into a branch, and returns the commit.
func (r Repository) CommitAll(t testing.TB, branch, message string) Commit {
	t.Helper()
	a := r.In(t, http.MethodPost, "/branches/"+branch+"/commits", map[string]string{"message": message})
	return Into[Commit](t, a.Is(t, http.StatusCreated, ""))
}
