package lakefs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

// Reserved is the prefix of the keys of a commit's metadata that callers cannot set.
const Reserved = "rangefleet."

// Keys of the metadata of a merge commit.
const (
	markKey     = Reserved + "landing"  // the mark of the landing
	correctsKey = Reserved + "corrects" // of a correction: the ID of the commit that it corrects
)

// Destination is where an import lands, and as what.
type Destination struct {
	Repository, Branch string
	Message            string
	Metadata           map[string]string // without the mark
	Created            int64             // seconds since 1970: of a commit that is stored by Store
}

// Perform performs one of the actions Store, Create, Write, Merge, Delete, Fence and Find of a
// landing. An error means that the outcome of Find is not known.
func (s *Session) Perform(ctx context.Context, d Destination, a landing.Action) (landing.Outcome, error) {
	switch a.Kind {
	case landing.Store:
		return s.storeCommit(ctx, d, a), nil
	case landing.Create:
		return outcome(createHidden(ctx, s, d, a)), nil
	case landing.Write:
		return s.writeTree(ctx, d, a), nil
	case landing.Merge:
		return s.merge(ctx, d, a), nil
	case landing.Delete:
		return outcome(s.deleteHidden(ctx, d, a.Branch)), nil
	case landing.Fence:
		return s.fence(ctx, d, a), nil
	case landing.Find:
		return s.find(ctx, d, a)
	default:
		return landing.Outcome{}, fmt.Errorf("perform a landing: action %d is not one of a server's", a.Kind)
	}
}

// outcome says what became of a call that was sent once.
func outcome(err error) landing.Outcome {
	switch {
	case err == nil:
		return landing.Outcome{}
	case IsRefused(err) && !IsLoginRefused(err):
		return landing.Outcome{Result: landing.Refused, Text: err.Error()}
	}
	return landing.Outcome{Result: landing.Lost, Text: err.Error()}
}

// says reports whether an error is a refusal with a status and words.
func says(err error, status int, words string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == status && strings.Contains(e.Message, words)
}

func createHidden(ctx context.Context, s *Session, d Destination, a landing.Action) error {
	return s.once(ctx, call{
		operation: "create branch", method: http.MethodPost, path: repositoryPath(d.Repository, "branches"),
		body: map[string]any{"name": a.Branch, "source": a.Base, "hidden": true},
	}, writeWithin)
}

// protectedBranch is in the server's words when a pattern protects a branch.
const protectedBranch = "protected branch"

// writeTree commits a metarange whose files are in the namespace. The commit may be empty,
// because an import that changes nothing makes its commit, too.
func (s *Session) writeTree(ctx context.Context, d Destination, a landing.Action) landing.Outcome {
	err := s.once(ctx, call{
		operation: "commit metarange", method: http.MethodPost,
		path: repositoryPath(d.Repository, "branches", a.Branch, "commits"), query: url.Values{"source_metarange": {a.Metarange}},
		body: map[string]any{"message": d.Message, "metadata": metadata(d, a), "allow_empty": true},
	}, mergeWithin)
	o := outcome(err)
	if says(err, http.StatusForbidden, protectedBranch) {
		o.Reason = landing.Protected
		o.Text += "; a pattern that protects branches covers the hidden branch " + a.Branch + ": narrow it, or set lakefs.protected_branches to store"
	}
	return o
}

// storeCommit stores a commit of a metarange whose files are in the namespace. Such a commit
// is unreachable until a branch is created at it, and is the same each time.
func (s *Session) storeCommit(ctx context.Context, d Destination, a landing.Action) landing.Outcome {
	base, err := s.Commit(ctx, d.Repository, a.Base)
	if err != nil {
		return outcome(err)
	}
	committer, err := s.user(ctx)
	if err != nil {
		return outcome(err)
	}
	c := ident.Commit{
		Committer: committer, Message: d.Message, MetarangeID: a.Metarange, Created: d.Created, Metadata: metadata(d, a), Parents: []string{a.Base},
	}
	err = s.read(ctx, call{
		operation: "store commit", method: http.MethodPost, path: repositoryPath(d.Repository, "commits"),
		body: map[string]any{
			"commit_id": c.ID(), "version": 1, "committer": c.Committer, "message": c.Message, "metarange_id": c.MetarangeID,
			"creation_date": c.Created, "parents": c.Parents, "generation": base.Generation + 1, "metadata": c.Metadata,
		},
	})
	if err != nil && !says(err, http.StatusConflict, "already exists") {
		return outcome(err)
	}
	return landing.Outcome{Commit: landing.Commit{ID: c.ID()}}
}

// metadata returns the metadata of the commits of a try.
func metadata(d Destination, a landing.Action) map[string]string {
	all := map[string]string{markKey: a.Branch}
	maps.Copy(all, d.Metadata)
	if a.Correction {
		all[correctsKey] = a.Base
	}
	return all
}

// MergeMetadata returns the metadata of the commit that an action Merge makes, as the server
// shows it.
func MergeMetadata(d Destination, a landing.Action) map[string]string {
	all := metadata(d, a)
	all[".lakefs.merge.strategy"] = strategy(a)
	return all
}

// strategy says who wins where an import and the destination changed the same key.
func strategy(a landing.Action) string {
	if a.Correction {
		return "dest-wins"
	}
	return "source-wins"
}

// noSource is what the server says of a merge whose source does not exist.
func noSource(name string) string { return "get commit by ref " + name + ": not found" }

func (s *Session) merge(ctx context.Context, d Destination, a landing.Action) landing.Outcome {
	var merged struct {
		Reference string `json:"reference"`
	}
	err := s.once(ctx, call{
		operation: "merge", method: http.MethodPost, path: repositoryPath(d.Repository, "refs", a.Branch, "merge", d.Branch),
		body: map[string]any{
			"message": d.Message, "metadata": metadata(d, a),
			"strategy": strategy(a), "squash_merge": true, "allow_empty": a.Unchanged,
		},
		answer: &merged,
	}, mergeWithin)
	if err == nil {
		return s.commitOf(ctx, d.Repository, merged.Reference)
	}
	o := outcome(err)
	switch {
	case says(err, http.StatusBadRequest, "no changes"):
		o.Reason = landing.NoChange
	case says(err, http.StatusNotFound, noSource(a.Branch)):
		o.Reason = landing.NoSource
	case says(err, http.StatusNotFound, "branch not found"):
		o.Reason = landing.NoTarget
	}
	return o
}

// commitOf returns the outcome of a merge that made a commit. If the commit cannot be read,
// its parent is unknown, and the outcome is lost.
func (s *Session) commitOf(ctx context.Context, repository, id string) landing.Outcome {
	c, err := s.Commit(ctx, repository, id)
	if err == nil && len(c.Parents) == 0 {
		err = fmt.Errorf("the merge commit %s has no parent", id)
	}
	if err != nil {
		return landing.Outcome{Result: landing.Lost, Text: err.Error()}
	}
	return landing.Outcome{Commit: landed(c)}
}

// landed returns a merge commit, which has a parent.
func landed(c Commit) landing.Commit {
	return landing.Commit{
		ID: c.ID, Parent: c.Parents[0], Metarange: c.MetarangeID, Committer: c.Committer, Created: c.Created, Generation: c.Generation,
	}
}

// deleteHidden deletes a hidden branch. A branch that does not exist is deleted. The server
// reads the tree of a branch to delete it: a branch whose tree has lost its files is moved to
// the head of the destination first. A merge that runs would find nothing to merge there.
func (s *Session) deleteHidden(ctx context.Context, d Destination, branch string) error {
	remove := call{operation: "delete branch", method: http.MethodDelete, path: repositoryPath(d.Repository, "branches", branch)}
	err := s.once(ctx, remove, writeWithin)
	if says(err, http.StatusGone, "") {
		err = s.once(ctx, call{
			operation: "reset branch", method: http.MethodPut, path: repositoryPath(d.Repository, "branches", branch, "hard_reset"),
			query: url.Values{"ref": {d.Branch}},
		}, writeWithin)
		if err == nil {
			err = s.once(ctx, remove, writeWithin)
		}
	}
	if says(err, http.StatusNotFound, "branch not found") {
		return nil
	}
	return err
}

func (s *Session) fence(ctx context.Context, d Destination, a landing.Action) landing.Outcome {
	err := s.once(ctx, call{
		operation: "fence", method: http.MethodPost, path: repositoryPath(d.Repository, "refs", a.Branch, "merge", d.Branch),
		body: map[string]any{"message": "fence of " + a.Branch, "squash_merge": true},
	}, writeWithin)
	o := outcome(err)
	switch {
	case says(err, http.StatusNotFound, noSource(a.Branch)):
		o.Reason = landing.NoSource
	case says(err, http.StatusNotFound, "branch not found"):
		o.Reason = landing.NoTarget
	}
	return o
}

// find looks for the mark in the history of the destination, page by page, from its head to
// the base.
func (s *Session) find(ctx context.Context, d Destination, a landing.Action) (landing.Outcome, error) {
	for after := ""; ; {
		page, more, err := log(ctx, s, d, a.Base, after)
		if says(err, http.StatusNotFound, "") {
			return landing.Outcome{Result: landing.Refused, Reason: landing.NoTarget, Text: err.Error()}, nil
		}
		if err != nil {
			return landing.Outcome{}, err
		}
		for _, c := range page {
			switch {
			case c.Metadata[markKey] == a.Branch && len(c.Parents) > 0:
				return landing.Outcome{Commit: landed(c)}, nil
			case c.ID == a.Base:
				return landing.Outcome{Result: landing.Refused, Reason: landing.NotThere}, nil
			}
			after = c.ID
		}
		if !more || len(page) == 0 {
			text := fmt.Sprintf("commit %s is not in the history of branch %q any more", a.Base, d.Branch)
			return landing.Outcome{Result: landing.Refused, Reason: landing.BaseGone, Text: text}, nil
		}
	}
}

// log returns a page of the destination's commits, newest first, by first parents, up to
// base inclusive.
func log(ctx context.Context, s *Session, d Destination, base, after string) (page []Commit, more bool, err error) {
	var answer struct {
		Pagination struct {
			HasMore bool `json:"has_more"`
		} `json:"pagination"`
		Results []Commit `json:"results"`
	}
	err = s.read(ctx, call{
		operation: "list commits", method: http.MethodGet, path: repositoryPath(d.Repository, "refs", d.Branch, "commits"),
		query:  url.Values{"first_parent": {"true"}, "stop_at": {base}, "amount": {"100"}, "after": {after}},
		answer: &answer,
	})
	return answer.Results, answer.Pagination.HasMore, err
}
