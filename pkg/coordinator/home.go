package coordinator

import (
	"context"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// home is where repositories are kept. Its methods may be called concurrently.
type home interface {
	// open returns the repository that an import goes to, if its branch exists and the
	// caller may import into it. Otherwise the error is a fault.
	open(ctx context.Context, start Start) (catalog.Repository, error)

	// repositories returns all repositories: no source may touch their namespaces.
	repositories(ctx context.Context) ([]catalog.Repository, error)

	// release removes what an import that has ended left there.
	release(ctx context.Context, r imports.Record) error
}

// catalogHome keeps repositories in the catalog. Every caller may do everything.
type catalogHome struct {
	catalog *catalog.Catalog
	broken  *brokenRecords
}

func (h catalogHome) open(ctx context.Context, start Start) (catalog.Repository, error) {
	repository, err := h.catalog.Repository(ctx, start.Request.Repository)
	if err == nil {
		_, err = h.catalog.Branch(ctx, repository.ID, start.Request.Branch)
	}
	return repository, err
}

// repositories returns all repositories. One that was created a moment ago may be missing,
// as if it were created a moment from now. Repositories whose records cannot be decoded are
// left out: they would block all imports.
func (h catalogHome) repositories(ctx context.Context) (all []catalog.Repository, err error) {
	broken := make(map[string]string)
	for after, more := "", true; more; {
		var page []catalog.Repository
		if page, more, err = h.catalog.Repositories(ctx, catalog.RepositoryQuery{After: after, Amount: 1000}); err != nil {
			return nil, err
		}
		if len(page) > 0 {
			after = page[len(page)-1].ID
		}
		for _, r := range page {
			if r.Problem != "" {
				broken[r.ID] = r.Problem
			} else {
				all = append(all, r)
			}
		}
	}
	h.broken.note(kv.BucketCatalog, broken)
	return all, nil
}

func (h catalogHome) release(context.Context, imports.Record) error { return nil }

// IDPrefix starts the ID of an import into a repository of a lakeFS server, so that it is
// told from the imports of that server.
const IDPrefix = "rf-"

// newID returns the ID of a new import, into the repository of a lakeFS server or not.
func newID(server *lakefs.Session) string {
	id := xid.New().String()
	if server != nil {
		id = IDPrefix + id
	}
	return id
}
