package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
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

// serverHome is a lakeFS server, which decides what a caller may do.
type serverHome struct {
	service   *lakefs.Session
	skipHooks bool // import to branches with pre-commit hooks, which do not run
	log       *slog.Logger
}

// open checks the caller's permissions at the server, and then what the service account
// sees. A caller needs what an import by the server itself needs, except that the server
// is not asked about sources: it does not know where they lead.
func (h serverHome) open(ctx context.Context, start Start) (catalog.Repository, error) {
	var none catalog.Repository
	r := start.Request
	for key := range maps.Keys(r.Metadata) {
		if strings.HasPrefix(key, lakefs.Reserved) {
			return none, fault.BadField("commit.metadata", "the key %q is reserved: keys must not start with %q", key, lakefs.Reserved)
		}
	}
	if err := mayImport(ctx, h.service.As(start.Login), r, start.Paths); err != nil {
		return none, lakefs.Fault(err)
	}
	repository, err := h.service.Repository(ctx, r.Repository)
	if err != nil {
		return none, lakefs.AccountFault(err)
	}
	if repository.ReadOnly {
		return none, fault.Forbid("read-only repository")
	}
	if err := h.refuseHooks(ctx, r); err != nil {
		return none, err
	}
	// The server has directories of its own for other namespaces, and would not find a tree.
	if uri, err := objectstore.ParseURI(repository.StorageNamespace); err != nil || uri.Scheme != objectstore.SchemeS3 {
		return none, fault.Forbid("import is not supported for this storage: the namespace %q is not in S3", repository.StorageNamespace)
	}
	return catalog.Repository{ID: repository.ID, StorageNamespace: repository.StorageNamespace, Incarnation: incarnation(repository)}, nil
}

// incarnation tells repositories apart that had the same name one after another.
func incarnation(r lakefs.Repository) string { return strconv.FormatInt(r.Created, 10) }

// refuseHooks refuses a branch with pre-commit hooks, unless the settings say to skip them:
// the merge that lands an import does not run them, and an import by lakeFS does.
func (h serverHome) refuseHooks(ctx context.Context, r imports.Request) error {
	if h.skipHooks {
		return nil
	}
	file, err := h.service.PrecommitHook(ctx, r.Repository, r.Branch)
	if err == nil && file != "" {
		return fault.BadField("branch", "%q has pre-commit hooks (%s), which do not run when an import lands: "+
			"import to a branch without them and merge it, or set lakefs.precommit_hooks to skip", r.Branch, file)
	}
	return lakefs.AccountFault(err)
}

// mayImport checks that a caller may commit to the branch, write to each destination, and
// read the branch, which exists. A server's own import asks for the destination as it is
// given; what an import of a prefix writes lies in the directory of that name.
func mayImport(ctx context.Context, caller *lakefs.Session, r imports.Request, paths []imports.Path) error {
	if err := caller.MayCommit(ctx, r.Repository, r.Branch); err != nil {
		return err
	}
	destinations := make(map[string]bool)
	for _, p := range paths {
		destinations[p.Destination] = true
		if p.Type == imports.CommonPrefix && p.Destination != "" {
			destinations[strings.TrimSuffix(p.Destination, "/")+"/"] = true
		}
	}
	for _, d := range slices.Sorted(maps.Keys(destinations)) {
		if err := caller.MayWrite(ctx, r.Repository, r.Branch, d); err != nil {
			return err
		}
	}
	_, err := caller.Head(ctx, r.Repository, r.Branch)
	return err
}

// repositories leaves out those in stores that nothing is imported from.
func (h serverHome) repositories(ctx context.Context) (all []catalog.Repository, err error) {
	found, err := h.service.Repositories(ctx)
	if err != nil {
		return nil, lakefs.AccountFault(err)
	}
	for _, r := range found {
		if _, err := objectstore.ParseURI(r.StorageNamespace); err == nil { // else no source can be there
			all = append(all, catalog.Repository{ID: r.ID, StorageNamespace: r.StorageNamespace})
		}
	}
	return all, nil
}

// release deletes the hidden branches of an import again: a request to create one may have
// arrived late.
func (h serverHome) release(ctx context.Context, r imports.Record) error {
	if r.Landing == nil {
		return nil
	}
	for _, b := range r.Landing.Branches {
		o, err := h.service.Perform(ctx, destinationOf(r), landing.Action{Kind: landing.Delete, Branch: b})
		switch {
		case err != nil:
			return err
		case o.Result == landing.Lost:
			return fmt.Errorf("delete the hidden branch %s of import %s: %s", b, r.Job.ImportID, o.Text)
		case o.Result == landing.Refused:
			h.log.Warn("a hidden branch is left", "import_id", r.Job.ImportID, "repository", r.Request.Repository, "branch", b, "err", o.Text)
		}
	}
	return nil
}

// callers are the sessions of those who started the imports that this process drives. They
// are kept in memory alone. Its methods may be called concurrently.
type callers struct {
	mu sync.Mutex
	by map[string]*lakefs.Session // by import
}

func newCallers() *callers { return &callers{by: make(map[string]*lakefs.Session)} }

// note records the login of the caller of an import that may be driven from now on, if
// repositories are kept at a server.
func (c *callers) note(id string, server *lakefs.Session, l lakefs.Login) {
	if server == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[id] = server.As(l)
}

// of returns the session of an import's caller, or nil if this process does not know it.
func (c *callers) of(id string) *lakefs.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[id]
}

func (c *callers) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, id)
}

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
