package lakefs

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// Facts is what a server tells of itself.
type Facts struct {
	Version    string
	Blockstore string // "s3", "local", ...
}

// ServerFacts asks for the facts of a server.
func ServerFacts(ctx context.Context, s *Session) (Facts, error) {
	var config struct {
		Version struct {
			Version string `json:"version"`
		} `json:"version_config"`
		Storage struct {
			Type string `json:"blockstore_type"`
		} `json:"storage_config"`
	}
	err := s.once(ctx, call{operation: "get config", method: http.MethodGet, path: []string{"config"}, answer: &config}, readWithin)
	return Facts{config.Version.Version, config.Storage.Type}, err
}

// User returns the name of the user of a session.
func User(ctx context.Context, s *Session) (string, error) { return s.user(ctx) }

// Permission is one that imports need of the service account.
type Permission struct {
	Action, Resource string
	Optional         bool  // imports land without it
	Err              error // nil if the account has it; Denied tells whether it lacks it
}

// Denied reports whether the account lacks the permission. Otherwise, with an error, that is
// not known.
func (p Permission) Denied() bool { return says(p.Err, http.StatusUnauthorized, "") }

// Permissions tries which permissions a session has for imports to a branch. Each call names
// something that does not exist, or does nothing: the server authorizes before it finds that
// out. fs:UpdateRepository is not tried.
func Permissions(ctx context.Context, s *Session, repository, branch string) []Permission {
	const arn = "arn:lakefs:fs:::"
	repo := arn + "repository/" + repository
	none := strings.ToLower(rand.Text()) // nothing has that name
	hidden := "rf-doctor-" + none
	try := func(action, resource string, c call) Permission {
		c.operation = "try " + action
		err := s.once(ctx, c, readWithin)
		if says(err, http.StatusNotFound, "") || says(err, http.StatusForbidden, protectedBranch) {
			err = nil // it may do that
		}
		return Permission{Action: action, Resource: resource, Err: err}
	}
	get := func(path ...string) call { return call{method: http.MethodGet, path: path} }
	in := func(more ...string) []string { return repositoryPath(repository, more...) }
	ls, read := get(in("refs", branch, "objects", "ls")...), get(in("refs", branch, "objects")...)
	ls.query = url.Values{"prefix": {actionsPrefix}, "amount": {"1"}}
	read.query = url.Values{"path": {actionsPrefix + none}}
	actions := repo + "/object/" + actionsPrefix + "*"
	all := []Permission{
		try("fs:ListRepositories", arn+"*", get("repositories")),
		try("fs:ReadRepository", repo, get(in()...)),
		try("fs:ReadCommit", repo, get(in("commits", none)...)),
		try("fs:ReadBranch", repo+"/branch/"+branch, get(in("branches", branch)...)),
		{Action: "fs:CreateCommit", Resource: repo + "/branch/" + branch, Err: s.MayCommit(ctx, repository, branch)},
		try("fs:CreateBranch", repo+"/branch/rf-*", call{
			method: http.MethodPost, path: in("branches"), body: map[string]any{"name": hidden, "source": none, "hidden": true},
		}),
		{Action: "fs:CreateCommit", Resource: repo + "/branch/rf-*", Err: s.MayCommit(ctx, repository, hidden)},
		try("fs:DeleteBranch", repo+"/branch/rf-*", call{method: http.MethodDelete, path: in("branches", hidden)}),
		try("fs:ListObjects", repo, ls),
		try("fs:ReadObject", actions, read),
	}
	revert := try("fs:RevertBranch", repo+"/branch/rf-*", resetNothing(repository))
	revert.Optional = true
	return append(all, revert, mayReadUsers(ctx, s))
}

// resetNothing is a call that resets a hidden branch that does not exist.
func resetNothing(repository string) call {
	none := strings.ToLower(rand.Text())
	return call{method: http.MethodPut, path: repositoryPath(repository, "branches", "rf-doctor-"+none, "hard_reset"), query: url.Values{"ref": {none}}}
}

// HiddenProtected reports whether a pattern that protects branches covers hidden branches. It
// tries to reset one that does not exist. Without fs:RevertBranch, that is not known.
func HiddenProtected(ctx context.Context, s *Session, repository string) (bool, error) {
	c := resetNothing(repository)
	c.operation = "look for protection"
	err := s.once(ctx, c, readWithin)
	switch {
	case says(err, http.StatusForbidden, protectedBranch):
		return true, nil
	case says(err, http.StatusNotFound, ""):
		return false, nil
	}
	return false, err
}

// mayReadUsers tries whether the session may ask for users. A server that keeps none says so.
func mayReadUsers(ctx context.Context, s *Session) Permission {
	err := s.once(ctx, call{operation: "try auth:ReadUser", method: http.MethodGet, path: []string{"auth", "users", strings.ToLower(rand.Text())}}, readWithin)
	if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusNotImplemented) {
		err = nil
	}
	return Permission{Action: "auth:ReadUser", Resource: "arn:lakefs:auth:::user/*", Optional: true, Err: err}
}
