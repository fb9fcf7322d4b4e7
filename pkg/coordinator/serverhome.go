package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// serverHome is a lakeFS server, which decides what a caller may do.
type serverHome struct {
	service   *lakefs.Session
	list      *repositoryList
	skipHooks bool // import to branches with pre-commit hooks, which do not run
	now       func() time.Time
	log       *slog.Logger
}

func newServerHome(cfg Config) *serverHome {
	h := &serverHome{service: cfg.LakeFS, skipHooks: cfg.SkipHooks, now: cfg.Now, log: cfg.Log}
	h.list = &repositoryList{read: h.readRepositories, now: cfg.Now, turn: make(chan struct{}, 1)}
	return h
}

// open checks the caller's permissions at the server, and then what the service account
// sees. A caller needs what an import by the server itself needs, except that the server
// is not asked about sources: it does not know where they lead.
func (h *serverHome) open(ctx context.Context, start Start) (catalog.Repository, error) {
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
	if err := h.mayLand(ctx, r); err != nil {
		return none, err
	}
	// The server has directories of its own for other namespaces, and would not find a tree.
	if uri, err := objectstore.ParseURI(repository.StorageNamespace); err != nil || uri.Scheme != objectstore.SchemeS3 {
		return none, fault.Forbid("import is not supported for this storage: the namespace %q is not in S3", repository.StorageNamespace)
	}
	return catalog.Repository{ID: repository.ID, StorageNamespace: repository.StorageNamespace, Incarnation: incarnation(repository)}, nil
}

// hiddenBranch is the name of no hidden branch, but permissions for these cover it.
const hiddenBranch = "rf-permission"

// mayLand checks that the service account may merge to the branch, and commit to hidden ones:
// without that, an import would fail only after its listing.
func (h *serverHome) mayLand(ctx context.Context, r imports.Request) error {
	for _, branch := range []string{r.Branch, hiddenBranch} {
		err := h.service.MayCommit(ctx, r.Repository, branch)
		if e, ok := errors.AsType[*lakefs.Error](err); ok && e.Status == http.StatusUnauthorized && !lakefs.IsLoginRefused(err) {
			return fault.Forbid("the coordinator's own account at the lakeFS server may not commit to branch %q: %s", branch, e.Message)
		}
		if err != nil {
			return lakefs.AccountFault(err)
		}
	}
	return nil
}

// incarnation tells repositories apart that had the same name one after another.
func incarnation(r lakefs.Repository) string { return strconv.FormatInt(r.Created, 10) }

// refuseHooks refuses a branch with pre-commit hooks, unless the settings say to skip them:
// the merge that lands an import does not run them, and an import by lakeFS does.
func (h *serverHome) refuseHooks(ctx context.Context, r imports.Request) error {
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

// repositories may lack those that were made in the last moments: confirm looks again.
func (h *serverHome) repositories(ctx context.Context) (all []catalog.Repository, err error) {
	return h.list.since(ctx, h.now().Add(-repositoriesFresh))
}

// readRepositories leaves out those in stores that nothing is imported from.
func (h *serverHome) readRepositories(ctx context.Context) (all []catalog.Repository, err error) {
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

// confirm checks again, before the import is merged, what may have changed since its start and
// does not depend on its caller: the hooks of the branch, and whose namespaces the sources
// share. The error is a fault.
func (h *serverHome) confirm(ctx context.Context, record imports.Record) error {
	if err := h.refuseHooks(ctx, record.Request); err != nil {
		return err
	}
	repositories, err := h.list.since(ctx, record.Created)
	if err != nil {
		return err
	}
	for i, p := range record.Job.Paths {
		uri, err := objectstore.ParseURI(p.URI)
		if err == nil {
			err = refuseNamespaces(fmt.Sprintf("paths[%d].path", i), uri, p.Type, repositories)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// release deletes the hidden branches of an import again: a request to create one may have
// arrived late.
func (h *serverHome) release(ctx context.Context, r imports.Record) error {
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
			h.log.WarnContext(r.Trace.In(ctx), "a hidden branch is left", "import_id", r.Job.ImportID, "repository", r.Request.Repository, "branch", b, "err", o.Text)
		}
	}
	return nil
}
