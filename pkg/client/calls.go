package client

import (
	"context"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// StartImport starts an import into a branch and returns its ID. If an identical import is
// still running, it returns the ID of that one.
func (c *Client) StartImport(ctx context.Context, repository, branch string, what api.ImportPathsCreation) (string, error) {
	answer, err := ask[api.ImportCreationResponse](ctx, c, call{
		method: http.MethodPost, path: branchPath(repository, branch, "import"), body: what,
	})
	return answer.ID, err
}

// ImportStatus returns the progress of an import.
func (c *Client) ImportStatus(ctx context.Context, repository, branch, id string) (api.ImportStatusResp, error) {
	return ask[api.ImportStatusResp](ctx, c, call{
		method: http.MethodGet, path: branchPath(repository, branch, "import"), query: url.Values{"id": {id}},
	})
}

// CancelImport cancels an import. It returns nil if the import has failed or is canceled
// already, and an Error with status 409 if it is completed.
func (c *Client) CancelImport(ctx context.Context, repository, branch, id string) error {
	return c.do(ctx, call{
		method: http.MethodDelete, path: branchPath(repository, branch, "import"), query: url.Values{"id": {id}},
	})
}

// Imports lists the imports that are running or ended lately, newest first.
func (c *Client) Imports(ctx context.Context, page Page) iter.Seq2[api.Import, error] {
	return pages[api.Import](ctx, c, page, []string{"imports"})
}

// TrySource tests how a source is listed. It takes up to a minute.
func (c *Client) TrySource(ctx context.Context, what api.SourceTrialCreation) (api.SourceTrial, error) {
	return ask[api.SourceTrial](ctx, c, call{method: http.MethodPost, path: []string{"sources", "trials"}, body: what})
}

// Verify verifies the files of the ranges of a metarange, in key order.
func (c *Client) Verify(ctx context.Context, repository, metarange string, page Page) iter.Seq2[api.VerifiedRange, error] {
	return pages[api.VerifiedRange](ctx, c, page, []string{"repositories", repository, "metaranges", metarange, "verification"})
}

// Compare compares the next part of a tree with a source.
func (c *Client) Compare(ctx context.Context, repository, metarange string, what api.ComparisonCreation) (api.Comparison, error) {
	return ask[api.Comparison](ctx, c, call{
		method: http.MethodPost, path: []string{"repositories", repository, "metaranges", metarange, "comparison"}, body: what,
	})
}

// Commit returns the commit that ref points at.
func (c *Client) Commit(ctx context.Context, repository, ref string) (api.Commit, error) {
	return ask[api.Commit](ctx, c, call{method: http.MethodGet, path: []string{"repositories", repository, "commits", ref}})
}

func branchPath(repository, branch string, rest ...string) []string {
	return append([]string{"repositories", repository, "branches", branch}, rest...)
}

// CreateRepository creates a repository and its default branch.
func (c *Client) CreateRepository(ctx context.Context, what api.RepositoryCreation) (api.Repository, error) {
	return ask[api.Repository](ctx, c, call{method: http.MethodPost, path: []string{"repositories"}, body: what, once: true})
}

// Repository returns a repository.
func (c *Client) Repository(ctx context.Context, name string) (api.Repository, error) {
	return ask[api.Repository](ctx, c, call{method: http.MethodGet, path: []string{"repositories", name}})
}

// DeleteRepository deletes a repository, but nothing in the object store. It returns an Error
// with status 409 while imports into the repository are running.
func (c *Client) DeleteRepository(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"repositories", name}, once: true})
}

// Repositories lists repositories by name.
func (c *Client) Repositories(ctx context.Context, page Page) iter.Seq2[api.Repository, error] {
	return pages[api.Repository](ctx, c, page, []string{"repositories"})
}

// CreateBranch creates a branch that points at the commit of source, a ref, and returns that
// commit's ID.
func (c *Client) CreateBranch(ctx context.Context, repository, name, source string) (string, error) {
	id, err := ask[commitID](ctx, c, call{
		method: http.MethodPost, path: []string{"repositories", repository, "branches"},
		body: api.BranchCreation{Name: name, Source: source}, once: true,
	})
	return string(id), err
}

// Branch returns a branch.
func (c *Client) Branch(ctx context.Context, repository, name string) (api.Ref, error) {
	return ask[api.Ref](ctx, c, call{method: http.MethodGet, path: branchPath(repository, name)})
}

// ResetBranch makes the commit of ref the head of a branch.
func (c *Client) ResetBranch(ctx context.Context, repository, name, ref string) error {
	return c.do(ctx, call{
		method: http.MethodPut, path: branchPath(repository, name, "hard_reset"),
		query: url.Values{"ref": {ref}}, once: true,
	})
}

// RevertBranch adds a commit to a branch that undoes the changes of another commit.
func (c *Client) RevertBranch(ctx context.Context, repository, name string, what api.RevertCreation) error {
	return c.do(ctx, call{
		method: http.MethodPost, path: branchPath(repository, name, "revert"),
		body: what, once: true,
	})
}

// Branches lists the branches of a repository by name.
func (c *Client) Branches(ctx context.Context, repository string, page Page) iter.Seq2[api.Ref, error] {
	return pages[api.Ref](ctx, c, page, []string{"repositories", repository, "branches"})
}

// Log lists the commits of ref, newest first.
func (c *Client) Log(ctx context.Context, repository, ref string, page Page) iter.Seq2[api.Commit, error] {
	return pages[api.Commit](ctx, c, page, refPath(repository, ref, "commits"))
}

// Objects lists the objects at ref in bytewise order of their paths. With page.Delimiter,
// objects that share a prefix up to it are listed as one common prefix.
func (c *Client) Objects(ctx context.Context, repository, ref string, page Page) iter.Seq2[api.ObjectStats, error] {
	return pages[api.ObjectStats](ctx, c, page, refPath(repository, ref, "objects", "ls"))
}

// Object returns one object at ref.
func (c *Client) Object(ctx context.Context, repository, ref, path string) (api.ObjectStats, error) {
	return ask[api.ObjectStats](ctx, c, call{
		method: http.MethodGet, path: refPath(repository, ref, "objects", "stat"), query: url.Values{"path": {path}},
	})
}

func refPath(repository, ref string, rest ...string) []string {
	return append([]string{"repositories", repository, "refs", ref}, rest...)
}

// CurrentUser returns the user of the client. Every user may ask.
func (c *Client) CurrentUser(ctx context.Context) (api.User, error) {
	got, err := ask[api.CurrentUser](ctx, c, call{method: http.MethodGet, path: []string{"user"}})
	return got.User, err
}

// CreateUser creates a user without access keys.
func (c *Client) CreateUser(ctx context.Context, name string) (api.User, error) {
	return ask[api.User](ctx, c, call{method: http.MethodPost, path: []string{"auth", "users"}, body: api.UserCreation{ID: name}, once: true})
}

// DeleteUser deletes a user with its access keys.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: userPath(name), once: true})
}

// Users lists users by name.
func (c *Client) Users(ctx context.Context, page Page) iter.Seq2[api.User, error] {
	return pages[api.User](ctx, c, page, []string{"auth", "users"})
}

// CreateAccessKey creates an access key of a user. Its secret cannot be retrieved again.
func (c *Client) CreateAccessKey(ctx context.Context, user string) (api.CredentialsWithSecret, error) {
	return ask[api.CredentialsWithSecret](ctx, c, call{method: http.MethodPost, path: userPath(user, "credentials"), once: true})
}

// AccessKey returns an access key of a user.
func (c *Client) AccessKey(ctx context.Context, user, id string) (api.Credentials, error) {
	return ask[api.Credentials](ctx, c, call{method: http.MethodGet, path: userPath(user, "credentials", id)})
}

// DeleteAccessKey revokes an access key of a user. It returns an Error with status 409 if it is the
// administrator's last one.
func (c *Client) DeleteAccessKey(ctx context.Context, user, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: userPath(user, "credentials", id), once: true})
}

// AccessKeys lists the access keys of a user by their IDs.
func (c *Client) AccessKeys(ctx context.Context, user string, page Page) iter.Seq2[api.Credentials, error] {
	return pages[api.Credentials](ctx, c, page, userPath(user, "credentials"))
}

// Sessions returns the sessions of a user, the oldest first.
func (c *Client) Sessions(ctx context.Context, user string) ([]api.Session, error) {
	list, err := ask[api.SessionList](ctx, c, call{method: http.MethodGet, path: userPath(user, "sessions")})
	return list.Results, err
}

// RevokeSession revokes a session of a user.
func (c *Client) RevokeSession(ctx context.Context, user, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: userPath(user, "sessions", id), once: true})
}

// RevokeSessions revokes all sessions of a user.
func (c *Client) RevokeSessions(ctx context.Context, user string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: userPath(user, "sessions")})
}

// ReplaceSigningKeys replaces the keys that sign tokens of logins. All such tokens end.
func (c *Client) ReplaceSigningKeys(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"auth", "signing_keys"}})
}

func userPath(user string, rest ...string) []string {
	return append([]string{"auth", "users", user}, rest...)
}

// Page selects a part of a list.
type Page struct {
	Prefix    string // only names that start with it; not for imports
	After     string // only names that follow it
	Amount    int    // the most results; 0: all
	Delimiter string // for objects only

	Repository string            // for imports only: those into it; "": all
	Phases     []api.ImportPhase // for imports only: those in one of them; none: all
}

// pageSize is the most results on a page of the API.
const pageSize = 1000

// query returns the query of the next page, which follows `after`; at most left results of
// it are wanted.
func (p Page) query(after string, left int) url.Values {
	q := url.Values{"amount": {strconv.Itoa(min(left, pageSize))}}
	for name, text := range map[string]string{"prefix": p.Prefix, "after": after, "delimiter": p.Delimiter, "repository": p.Repository} {
		if text != "" {
			q.Set(name, text)
		}
	}
	for _, phase := range p.Phases {
		q.Add("phase", string(phase))
	}
	return q
}

// list is a page of results. All lists of the API have this form.
type list[R any] struct {
	Pagination api.Pagination `json:"pagination"`
	Results    []R            `json:"results"`
}

// pages yields the results of a list, which it requests page by page. The sequence ends after
// the last result or the first error.
func pages[R any](ctx context.Context, c *Client, page Page, path []string) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		after, left := page.After, page.Amount
		if left <= 0 {
			left = math.MaxInt
		}
		for {
			got, err := ask[list[R]](ctx, c, call{method: http.MethodGet, path: path, query: page.query(after, left)})
			if err != nil {
				yield(*new(R), err)
				return
			}
			for _, r := range got.Results {
				if left--; left < 0 || !yield(r, nil) {
					return
				}
			}
			if !got.Pagination.HasMore || left <= 0 {
				return
			}
			if got.Pagination.NextOffset == after {
				// The same page would be requested forever.
				yield(*new(R), fmt.Errorf("%w: a page that does not advance, after %q", errGarbled, after))
				return
			}
			after = got.Pagination.NextOffset
		}
	}
}
