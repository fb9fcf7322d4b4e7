package server

import (
	"context"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/coordinator/edit"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// Editor is what the server needs of *edit.Editor.
type Editor interface {
	Commit(ctx context.Context, c edit.Commit) (catalog.Commit, error)
	// Merge returns fault.Conflict if both sides have changed since their merge base.
	Merge(ctx context.Context, m edit.Merge) (catalog.Commit, error)
	MergeBase(ctx context.Context, repository, source, destination string) (edit.Base, error)
}

// Commit commits a stored tree to a branch.
func (h *handlers) Commit(w http.ResponseWriter, r *http.Request, repository, branch string, params api.CommitParams) {
	if params.SourceMetarange == "" && r.URL.Query().Has("source_metarange") {
		refuse(w, http.StatusBadRequest, parameterError("source_metarange", missing))
		return
	}
	var body api.CommitCreation
	var created time.Time
	in := jsonBody(func(data []byte) (err error) {
		if err = into(&body)(data); err == nil {
			created, err = commitDate(body.Date)
		}
		return err
	})
	in.fixed, in.slow = forTree, true
	h.serve(w, r, in, func(ctx context.Context, caller access.Caller) (int, any, error) {
		got, err := h.editor.Commit(ctx, edit.Commit{
			Repository: repository, Branch: branch, Tree: params.SourceMetarange, AllowEmpty: body.AllowEmpty,
			Committer: caller.User, Message: body.Message, Metadata: body.Metadata, Created: created,
		})
		return http.StatusCreated, commitOf(got), err
	})
}

// commitDate returns the time of a commit, zero if none is given. Commits are stored with
// years of four digits.
func commitDate(seconds *int64) (time.Time, error) {
	if seconds == nil {
		return time.Time{}, nil
	}
	date := time.Unix(*seconds, 0).UTC()
	if *seconds < 0 || date.Year() > 9999 {
		return time.Time{}, fault.BadField("date", "%d: want seconds since 1970, and a year before 10000", *seconds)
	}
	return date, nil
}
