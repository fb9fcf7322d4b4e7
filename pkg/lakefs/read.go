package lakefs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Repository is a repository of the server.
type Repository struct {
	ID               string `json:"id"`
	StorageNamespace string `json:"storage_namespace"` // a URI
	ReadOnly         bool   `json:"read_only"`
	Created          int64  `json:"creation_date"` // seconds since 1970
}

// Commit is a commit of the server.
type Commit struct {
	ID          string            `json:"id"`
	Parents     []string          `json:"parents"`
	MetarangeID string            `json:"meta_range_id"` // "" is the empty tree
	Committer   string            `json:"committer"`
	Message     string            `json:"message"`
	Created     int64             `json:"creation_date"` // seconds since 1970
	Generation  int               `json:"generation"`
	Metadata    map[string]string `json:"metadata"`
}

func repositoryPath(repository string, more ...string) []string {
	return append([]string{"repositories", repository}, more...)
}

// Repository returns a repository.
func (s *Session) Repository(ctx context.Context, id string) (r Repository, err error) {
	err = s.read(ctx, call{operation: "get repository", method: http.MethodGet, path: repositoryPath(id), answer: &r})
	return r, err
}

// maxRepositories bounds how many repositories of a server are read.
const maxRepositories = 100_000

// Repositories returns all repositories that the user may list.
func (s *Session) Repositories(ctx context.Context) (all []Repository, err error) {
	for after, more := "", true; more; {
		var page struct {
			Pagination struct {
				HasMore    bool   `json:"has_more"`
				NextOffset string `json:"next_offset"`
			} `json:"pagination"`
			Results []Repository `json:"results"`
		}
		err = s.read(ctx, call{
			operation: "list repositories", method: http.MethodGet, path: []string{"repositories"},
			query: url.Values{"amount": {"1000"}, "after": {after}}, answer: &page,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Results...)
		if len(all) > maxRepositories {
			return nil, fmt.Errorf("list repositories: there are more than %d", maxRepositories)
		}
		if more = page.Pagination.HasMore && page.Pagination.NextOffset > after; more {
			after = page.Pagination.NextOffset
		} else if page.Pagination.HasMore {
			return nil, errors.New("list repositories: the server's pages do not end")
		}
	}
	return all, nil
}

// Head returns the ID of the commit at the head of a branch.
func (s *Session) Head(ctx context.Context, repository, branch string) (commitID string, err error) {
	var ref struct {
		CommitID string `json:"commit_id"`
	}
	err = s.read(ctx, call{operation: "get branch", method: http.MethodGet, path: repositoryPath(repository, "branches", branch), answer: &ref})
	if err == nil && ref.CommitID == "" {
		err = errors.New("get branch: the answer has no commit_id")
	}
	return ref.CommitID, err
}

// Commit returns a commit by its ID.
func (s *Session) Commit(ctx context.Context, repository, id string) (c Commit, err error) {
	err = s.read(ctx, call{operation: "get commit", method: http.MethodGet, path: repositoryPath(repository, "commits", id), answer: &c})
	if err == nil && c.ID == "" {
		err = errors.New("get commit: the answer has no id")
	}
	return c, err
}

// user returns the name of the user of a login. Everybody who is authenticated may ask. A server
// tells whoever shows nothing that it knows of a user without a name, as it does if it ignores a
// cookie of a session that has ended: such a login is refused.
func (s *Session) user(ctx context.Context) (name string, err error) {
	var me struct {
		User *struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	err = s.read(ctx, call{operation: "get user", method: http.MethodGet, path: []string{"user"}, answer: &me})
	switch {
	case err != nil:
		return "", err
	case me.User == nil:
		return "", errors.New("get user: the answer has no user")
	case me.User.ID == "":
		return "", &Error{Status: http.StatusUnauthorized, Message: loginRefused}
	}
	return me.User.ID, nil
}

// UserExists checks that there is a user of a name. It says nothing if the session may not
// ask that, or the server does not keep users.
func UserExists(ctx context.Context, s *Session, name string) error {
	err := s.read(ctx, call{operation: "find user", method: http.MethodGet, path: []string{"auth", "users", name}})
	e, ok := errors.AsType[*Error](err)
	if ok && !IsLoginRefused(err) && (e.Status == http.StatusNotImplemented || e.refused() && !says(err, http.StatusNotFound, "user not found")) {
		return nil
	}
	return err
}

// maxGroups is the number of groups of a user beyond which something is wrong.
const maxGroups = 10_000

// GroupsOf returns the groups of a user; none if there is no such user, or the server does
// not keep users.
func GroupsOf(ctx context.Context, s *Session, user string) (groups []string, err error) {
	for after, more := "", true; more; {
		var page struct {
			Pagination struct {
				HasMore    bool   `json:"has_more"`
				NextOffset string `json:"next_offset"`
			} `json:"pagination"`
			Results []struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"results"`
		}
		err := s.read(ctx, call{
			operation: "list groups of user", method: http.MethodGet, path: []string{"auth", "users", user, "groups"},
			query: url.Values{"amount": {"1000"}, "after": {after}}, answer: &page,
		})
		if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusNotImplemented || e.Status == http.StatusNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, g := range page.Results {
			groups = append(groups, cmp.Or(g.Name, g.ID))
		}
		if more = page.Pagination.HasMore; more && (page.Pagination.NextOffset <= after || len(groups) > maxGroups) {
			return nil, errors.New("list groups of user: the server's pages do not end")
		}
		after = page.Pagination.NextOffset
	}
	return groups, nil
}

// Expired reports whether an error of a call of the session may mean that its login does not
// hold any more though the user does: it is that of a session, and not of an access key.
func Expired(s *Session, err error) bool {
	basic := strings.HasPrefix(s.login.header.Get("Authorization"), "Basic ")
	return !basic && IsLoginRefused(err)
}

// anyObject is a path that no policy names: a user who may write it may write any object.
const anyObject = "rangefleet-any-object"

// MayWrite checks that a user may write an object under a path of a branch; "" is its root.
// It says nothing of whether the branch exists.
func (s *Session) MayWrite(ctx context.Context, repository, branch, path string) error {
	return s.read(ctx, call{
		operation: "check write permission", method: http.MethodGet,
		path: repositoryPath(repository, "branches", branch, "objects", "stage_allowed"), query: url.Values{"path": {cmp.Or(path, anyObject)}},
	})
}

// noStrategy is a merge strategy that does not exist.
const noStrategy = "none"

// MayCommit checks that a user may commit to a branch. It says nothing of whether the branch
// exists. It asks for a merge of the branch into itself by a strategy that does not exist:
// the server authorizes the caller before it looks at the strategy, and refuses that before
// it looks at the branch.
func (s *Session) MayCommit(ctx context.Context, repository, branch string) error {
	err := s.read(ctx, call{
		operation: "check commit permission", method: http.MethodPost,
		path: repositoryPath(repository, "refs", branch, "merge", branch), body: map[string]string{"strategy": noStrategy},
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusBadRequest && strings.Contains(e.Message, "strategy") {
		return nil
	}
	if err == nil {
		return errors.New("check commit permission: the server merged by a strategy that does not exist")
	}
	return err
}

// NoImport is the ID of no import of any server.
const NoImport = "rangefleet-permission"

// mayCancel checks that a user may cancel imports to a branch. It says nothing of whether the
// branch exists. It asks to cancel an import that does not exist: the server authorizes the
// caller before it looks for it.
func mayCancel(ctx context.Context, s *Session, repository, branch string) error {
	err := s.read(ctx, call{
		operation: "check cancel permission", method: http.MethodDelete,
		path: repositoryPath(repository, "branches", branch, "import"), query: url.Values{"id": {NoImport}},
	})
	if says(err, http.StatusNotFound, "") {
		return nil
	}
	if err == nil {
		return errors.New("check cancel permission: the server canceled an import that does not exist")
	}
	return err
}

// SetMetadata sets values of a repository's metadata.
func (s *Session) SetMetadata(ctx context.Context, repository string, values map[string]string) error {
	return s.once(ctx, call{
		operation: "set metadata", method: http.MethodPost,
		path: repositoryPath(repository, "metadata"), body: map[string]any{"metadata": values},
	}, readWithin)
}
