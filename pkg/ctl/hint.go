package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// hinted adds what the user can do about an error. Other keys do not help a user that is known but
// lacks a permission: "insufficient permissions" and "denied permission" are lakeFS's words for that.
func hinted(err error) error {
	if client.Untrusted(err) {
		return advise(err, "name the authority that signed the certificate by --ca-file or RANGECTL_CA_FILE, if you trust it")
	}
	if answered(err, http.StatusUnauthorized) && !strings.Contains(err.Error(), " permission") {
		return advise(err, "the access key, its secret or the token is missing or wrong: set RANGECTL_ACCESS_KEY_ID and RANGECTL_SECRET_ACCESS_KEY, or run rangectl login")
	}
	silent, ok := errors.AsType[*client.Unreachable](err)
	if ok && errors.Is(silent.Err, http.ErrSchemeMismatch) {
		return advise(err, "the service there has no TLS: did you mean http"+strings.TrimPrefix(silent.Endpoint, "https")+"?")
	}
	if ok && silent.Endpoint == defaultEndpoint {
		return advise(err, "that is the default address; --endpoint, RANGECTL_ENDPOINT or rangectl login say where the coordinator is")
	}
	return err
}

// endpointHint is what an endpoint may have been meant to be that has no scheme.
func endpointHint(endpoint string) string {
	if endpoint == "" || strings.Contains(endpoint, "://") {
		return ""
	}
	return fmt.Sprintf("did you mean http://%s?", endpoint)
}

// sourceHint is what a source may have been meant to be that has no scheme.
func sourceHint(from string) string {
	if !strings.HasPrefix(from, "/") {
		return ""
	}
	return fmt.Sprintf("did you mean local://%s?", from)
}

// failureHint is what the user can do about the error that an import failed with, "" if that is
// not known.
func failureHint(text string) string {
	switch {
	case strings.Contains(text, "NoSuchBucket"):
		return "check the bucket in --from; it is looked for at the store that the coordinator's settings name (s3.endpoint)"
	case strings.Contains(text, "AccessDenied"):
		return "what counts is what the coordinator and its workers may do at the store (their s3 settings), not what you may do"
	case strings.Contains(text, "local://") && strings.Contains(text, "not found"):
		return "check the directory in --from; it is looked for on the machines of the fleet, not on this one"
	}
	return ""
}

// missingAt adds to a "not found" where the thing was looked for, if that is known.
func missingAt(where string, err error) error {
	if where != "" && answered(err, http.StatusNotFound) {
		return fmt.Errorf("%s: %w", where, err)
	}
	return err
}

// missing is missingAt for a place in a repository, with a hint at what there is instead.
func (a *app) missing(ctx context.Context, p place, where string, err error) error {
	if !answered(err, http.StatusNotFound) {
		return err
	}
	return advise(missingAt(where, err), instead(ctx, a, p))
}

// The most that is asked for a hint or for completion: time, and names.
const (
	asideWithin = 2 * time.Second
	asideNames  = limits.Results
)

// aside returns a client for calls that the user does not wait for: it is quick, and tries once.
// The returned context ends all of them in time.
func (a *app) aside(ctx context.Context) (context.Context, context.CancelFunc, *client.Client, error) {
	c, err := a.client(client.Config{Attempts: 1, Timeout: asideWithin})
	ctx, cancel := context.WithTimeout(ctx, asideWithin)
	return ctx, cancel, c, err
}

// instead hints at names like those of a place of which something was not found; "" if both of its
// names exist, or if that could not be found out.
func instead(ctx context.Context, a *app, p place) string {
	ctx, cancel, c, err := a.aside(ctx)
	defer cancel()
	if err != nil {
		return ""
	}
	repositories := repositoryNames(ctx, c, "")
	if !slices.Contains(repositories, p.repository) {
		return didYouMean(p.repository, repositories, "repositories", func(name string) place {
			p.repository = name
			return p
		})
	}
	branches := branchNames(ctx, c, p.repository, "")
	if p.ref == "" || slices.Contains(branches, p.ref) {
		return ""
	}
	return didYouMean(p.ref, branches, "branches", func(name string) place {
		p.ref = name
		return p
	})
}

// repositoryNames returns the names of repositories with a prefix. Both functions return as many
// as they get.
func repositoryNames(ctx context.Context, c *client.Client, prefix string) (names []string) {
	for r, err := range c.Repositories(ctx, client.Page{Prefix: prefix, Amount: asideNames}) {
		if err != nil {
			break
		}
		names = append(names, r.ID)
	}
	return names
}

func branchNames(ctx context.Context, c *client.Client, repository, prefix string) (names []string) {
	for b, err := range c.Branches(ctx, repository, client.Page{Prefix: prefix, Amount: asideNames}) {
		if err != nil {
			break
		}
		names = append(names, b.ID)
	}
	return names
}

// didYouMean hints at the name that is most like a wrong one, or at the first names that there are.
func didYouMean(wrong string, names []string, what string, at func(name string) place) string {
	const shown = 5
	switch like := nearest(wrong, names); {
	case like != "":
		return fmt.Sprintf("did you mean %s?", at(like))
	case len(names) > shown:
		return fmt.Sprintf("some %s that exist: %s", what, strings.Join(names[:shown], ", "))
	case len(names) > 0:
		return fmt.Sprintf("%s that exist: %s", what, strings.Join(names, ", "))
	}
	return ""
}

// nearest returns the name that a wrong one can be a slip for: it differs by at most a third of its
// letters, or begins with the wrong one. It returns "" if there is none.
func nearest(wrong string, names []string) string {
	best, least := "", len(wrong)/3+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := slips(strings.ToLower(wrong), strings.ToLower(name)); d < least || d == least && best == "" {
			best, least = name, d
		}
	}
	if best != "" || len(wrong) < 2 {
		return best
	}
	i := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, wrong) })
	if i < 0 {
		return ""
	}
	return names[i]
}

// slips is the least number of letters to insert, to drop, to replace, or to swap with the next
// one, that makes one text of another.
func slips(a, b string) int {
	from, to := []rune(a), []rune(b)
	rows := make([][]int, len(from)+1)
	for i := range rows {
		rows[i] = make([]int, len(to)+1)
		for j := range rows[i] {
			rows[i][j] = max(i, j)
			if i == 0 || j == 0 {
				continue
			}
			replaced := rows[i-1][j-1]
			if from[i-1] != to[j-1] {
				replaced++
			}
			rows[i][j] = min(replaced, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(from)][len(to)]
}

// unknown says of an import that was not found why that may be.
func unknown(ctx context.Context, a *app, what imported, err error) error {
	if !answered(err, http.StatusNotFound) {
		return err
	}
	p := what.place.root()
	said := fmt.Errorf("import %s is not known at %s: %w", what.id, p, err)
	elsewhere, found := findImport(ctx, a, what.id)
	if found {
		return advise(said, fmt.Sprintf("it is an import into %s", elsewhere))
	}
	return advise(said, cmp.Or(instead(ctx, a, p), fmt.Sprintf(
		"imports are forgotten a day after they end; rangectl imports %s lists those that are known", scheme+p.repository)))
}

// findImport looks for an import among the newest ones, and returns the branch that it is into.
func findImport(ctx context.Context, a *app, id string) (place, bool) {
	ctx, cancel, c, err := a.aside(ctx)
	defer cancel()
	if err != nil {
		return place{}, false
	}
	for i, err := range c.Imports(ctx, client.Page{Amount: asideNames}) {
		if err != nil {
			break
		}
		if i.ID == id {
			return place{repository: i.Repository, ref: i.Branch}, true
		}
	}
	return place{}, false
}
