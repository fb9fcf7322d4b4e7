package catalog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// firstMessage is the message of the commit that a default branch starts with.
const firstMessage = "Repository created"

// Repository returns a repository, or a NotFound fault.
func (c *Catalog) Repository(ctx context.Context, id string) (Repository, error) {
	r, _, err := c.records.ready(ctx, id)
	return r, explain(err, "read repository %q", id)
}

// RepositoryQuery selects a page of repositories. Only Amount is required.
type RepositoryQuery struct {
	Prefix string // of the IDs
	Search string // a part of the IDs
	After  string // an ID: only those that follow it
	Amount int    // the most repositories of the page, at least 1
}

// Repositories returns the repositories that a query selects, ordered by ID, and whether
// there are more. A repository whose record cannot be decoded has a Problem.
func (c *Catalog) Repositories(ctx context.Context, q RepositoryQuery) (page []Repository, more bool, err error) {
	page, more, err = list(ctx, c.records.bucket, repositoryKey(""), q.Prefix, q.After, q.Amount, func(id string) (Repository, error) {
		if !strings.Contains(id, q.Search) {
			return Repository{}, kv.ErrNotFound
		}
		r, _, err := read[repositoryRecord](ctx, c.records.bucket.Get, repositoryKey(id))
		switch {
		case fault.Is(err, fault.Broken):
			return Repository{ID: id, Problem: err.Error()}, nil
		case err == nil && !r.Ready:
			err = kv.ErrNotFound
		}
		return r.Repository, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("list repositories: %w", err)
	}
	return page, more, nil
}

// CheckRepository returns the fault that CreateRepository would return now. It reserves
// nothing, so CreateRepository may still return another one.
func (c *Catalog) CheckRepository(ctx context.Context, r Repository) error {
	namespace, err := checkFields(r)
	if err != nil {
		return err
	}
	if _, _, err = c.records.reservable(ctx, r.ID); err == nil {
		err = c.records.checkOverlaps(ctx, r.ID, namespace)
	}
	return explain(err, "create repository %q", r.ID)
}

// CreateRepository creates a repository with its default branch. It sets Created and
// Incarnation. An earlier call that was not finished, since its process died, does not
// prevent it. Faults are Invalid (name, storage_namespace, default_branch) and Conflict.
func (c *Catalog) CreateRepository(ctx context.Context, r Repository) (Repository, error) {
	namespace, err := checkFields(r)
	if err != nil {
		return Repository{}, err
	}
	r.StorageNamespace = namespace.String()
	r.Created, r.Incarnation = c.records.now().UTC().Truncate(time.Second), xid.New().String()
	if err := c.records.create(ctx, r, namespace); err != nil {
		return Repository{}, explain(err, "create repository %q", r.ID)
	}
	return r, nil
}

// checkFields checks the fields of a new repository, and returns its namespace.
func checkFields(r Repository) (namespace objectstore.URI, err error) {
	if !validRepository.MatchString(r.ID) {
		return namespace, fault.BadField("name", "%q is not a valid repository ID: want 3 to 63 of a-z, 0-9 and '-', not starting with '-'", r.ID)
	}
	if err := checkBranchName("default_branch", r.DefaultBranch); err != nil {
		return namespace, err
	}
	if namespace, err = normalNamespace(r.StorageNamespace); err != nil {
		return namespace, fault.BadField("storage_namespace", "%s", err)
	}
	return namespace, nil
}

// normalNamespace parses a namespace, so that equal directories have equal URIs.
func normalNamespace(s string) (objectstore.URI, error) {
	uri, err := objectstore.ParseURI(s)
	uri.Key = strings.Trim(uri.Key, "/") // as package namespace reads it
	return uri, err
}

// Directory returns the directory that a storage namespace is, so that equal ones have equal texts. A
// text that is no storage namespace is returned as it is.
func Directory(namespace string) string {
	uri, err := normalNamespace(namespace)
	if err != nil {
		return namespace
	}
	return uri.String()
}

// overlap reports whether one of two directories is, or contains, the other.
func overlap(a, b objectstore.URI) bool {
	a, b = objectstore.Comparable(a, b)
	for _, u := range []*objectstore.URI{&a, &b} {
		if u.Key != "" {
			u.Key += "/"
		}
	}
	return a.Contains(b) || b.Contains(a)
}
