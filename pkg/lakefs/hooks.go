package lakefs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Where a server looks for the actions of a branch, and how much of them is read.
const (
	actionsPrefix = "_lakefs_actions/"
	maxActions    = 1000 // files
)

// PrecommitHook returns the path of a file, on the branch, with an action before commits to
// the branch; "" if there is none. The server runs such hooks for a commit, and for its own
// import, but not for a merge. A file that cannot be read as an action counts as one.
func (s *Session) PrecommitHook(ctx context.Context, repository, branch string) (file string, err error) {
	var page struct {
		Pagination struct {
			HasMore bool `json:"has_more"`
		} `json:"pagination"`
		Results []struct {
			Path string `json:"path"`
			Type string `json:"path_type"`
		} `json:"results"`
	}
	err = s.read(ctx, call{
		operation: "list actions", method: http.MethodGet, path: repositoryPath(repository, "refs", branch, "objects", "ls"),
		query: url.Values{"prefix": {actionsPrefix}, "delimiter": {"/"}, "amount": {strconv.Itoa(maxActions)}}, answer: &page,
	})
	if err != nil {
		return "", err
	}
	if page.Pagination.HasMore {
		return "", fmt.Errorf("branch %q has more than %d files in %s", branch, maxActions, actionsPrefix)
	}
	for _, o := range page.Results {
		if o.Type != "object" {
			continue // the server reads no folders within
		}
		var text []byte
		err := s.read(ctx, call{
			operation: "get action", method: http.MethodGet, path: repositoryPath(repository, "refs", branch, "objects"),
			query: url.Values{"path": {o.Path}}, answer: &text,
		})
		if err != nil {
			return "", err
		}
		if runsBeforeCommit(text, branch) {
			return o.Path, nil
		}
	}
	return "", nil
}

// runsBeforeCommit reports whether an action runs before commits to a branch, as lakeFS
// matches them.
func runsBeforeCommit(text []byte, branch string) bool {
	var action struct {
		On map[string]*struct {
			Branches []string `yaml:"branches"`
		} `yaml:"on"`
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		return true
	}
	on, ok := action.On["pre-commit"]
	if !ok || on == nil || len(on.Branches) == 0 {
		return ok
	}
	for _, pattern := range on.Branches {
		if matched, err := path.Match(pattern, branch); matched || err != nil {
			return true
		}
	}
	return false
}
