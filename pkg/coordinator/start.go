package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rs/xid"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// defaultMessage is that of a commit for which the request has none.
const defaultMessage = "Import objects"

// Start checks a request, stores the import, and only then answers its ID. The
// same request again, while its import runs, answers the same ID.
func (s *Service) Start(ctx context.Context, start Start) (id string, err error) {
	repository, err := s.checkStart(ctx, start)
	if err != nil {
		return "", err
	}
	start.Request.Message = cmp.Or(start.Request.Message, defaultMessage)
	job := imports.Job{
		ImportID:  xid.New().String(),
		Namespace: repository.StorageNamespace, Incarnation: repository.Incarnation,
		Paths:   start.Paths,
		Breaks:  s.cfg.Breaks,
		Markers: s.cfg.Markers,
	}
	record := imports.New(job, start.Request, s.cfg.Now().UTC())
	record.Driver = s.session
	id, err = s.cfg.Imports.Claim(ctx, record)
	if errors.Is(err, queue.ErrTooLarge) {
		return "", fault.BadField("paths", "together they are %v", queue.ErrTooLarge)
	}
	if err != nil {
		return "", err
	}
	if id != record.Job.ImportID {
		return id, nil
	}
	s.metrics.started.Inc()
	s.cfg.Log.Info("import accepted", "import_id", id, "repository", repository.ID, "branch", start.Request.Branch,
		"paths", len(start.Paths), "user", start.Request.Committer)
	if s.running.Load() {
		s.startDriver(id)
	}
	return id, nil
}

// checkStart refuses what cannot be imported, and returns the repository to import into.
func (s *Service) checkStart(ctx context.Context, start Start) (catalog.Repository, error) {
	var none catalog.Repository
	if err := checkLimits(start); err != nil {
		return none, err
	}
	repository, err := s.cfg.Catalog.Repository(ctx, start.Request.Repository)
	if err != nil {
		return none, err
	}
	if _, err := s.cfg.Catalog.Branch(ctx, repository.ID, start.Request.Branch); err != nil {
		return none, err
	}
	repositories, err := s.repositories(ctx)
	if err != nil {
		return none, err
	}
	for i, p := range start.Paths {
		if err := s.checkPath(ctx, fmt.Sprintf("paths[%d]", i), p, repositories); err != nil {
			return none, err
		}
	}
	open, err := source.OpenAtOnce(start.Paths)
	if err == nil && open > limits.OpenPaths {
		err = fault.BadField("paths", "%d of them have destinations that overlap, at most %d are allowed", open, limits.OpenPaths)
	}
	return repository, err
}

// checkLimits refuses what is too long or too many to look at it any further.
func checkLimits(start Start) error {
	return cmp.Or(
		checkCommit("commit", start.Request.Message, start.Request.Metadata),
		limits.Count("paths", len(start.Paths), limits.Paths),
	)
}

// checkCommit refuses what is too long for a commit to say.
func checkCommit(field, message string, metadata map[string]string) error {
	size := 0
	for name, value := range metadata {
		size += len(name) + len(value)
	}
	if size > limits.Metadata {
		return fault.BadField(field+".metadata", "%d bytes, at most %d are allowed", size, limits.Metadata)
	}
	return limits.Bytes(field+".message", message, limits.Message)
}

// repositories returns all repositories, whose namespaces no source may touch. One that
// was created a moment ago may be missing, as if it were created a moment from now. Nor
// are those there whose records cannot be decoded: they would block all imports.
func (s *Service) repositories(ctx context.Context) (all []catalog.Repository, err error) {
	broken := make(map[string]string)
	for after, more := "", true; more; {
		var page []catalog.Repository
		if page, more, err = s.cfg.Catalog.Repositories(ctx, "", after, 1000); err != nil {
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
	s.noteBroken(queue.BucketCatalog, broken)
	return all, nil
}

// checkPath refuses a path that may not be imported, or goes where no import
// may write.
func (s *Service) checkPath(ctx context.Context, field string, p imports.Path, repositories []catalog.Repository) error {
	if p.Type != imports.CommonPrefix && p.Type != imports.Object {
		return fault.BadField(field+".type", "unknown type %q: want %q or %q", p.Type, imports.CommonPrefix, imports.Object)
	}
	if err := s.checkSource(ctx, field+".path", p.URI, p.Type, repositories); err != nil {
		return err
	}
	if err := checkDestination(field+".destination", p.Destination); err != nil {
		return err
	}
	if p.Type == imports.Object && p.Destination == "" {
		return fault.BadField(field+".destination", "empty: an object needs a key to go to")
	}
	return nil
}

// checkSource refuses a source that no setting allows, and one that shares
// objects with the storage namespace of any of the repositories: importing those
// would make metadata, or other repositories' files, look like data.
func (s *Service) checkSource(ctx context.Context, field, text string, t imports.PathType, repositories []catalog.Repository) error {
	if err := limits.Bytes(field, text, limits.URI); err != nil {
		return err
	}
	if !utf8.ValidString(text) {
		return fault.BadField(field, "%q is not valid UTF-8", text)
	}
	uri, err := objectstore.ParseURI(text)
	if err != nil {
		return fault.BadField(field, "%v", err)
	}
	if uri.Scheme == objectstore.SchemeS3 && len(uri.Key) > limits.Key {
		return fault.BadField(field, "its key takes %d bytes, at most %d are allowed", len(uri.Key), limits.Key)
	}
	if t == imports.Object && (uri.Key == "" || uri.Scheme == objectstore.SchemeLocal && strings.HasSuffix(uri.Key, "/")) {
		return fault.BadField(field, "%q names no object", text)
	}
	if len(s.cfg.Allowed) > 0 && !slices.ContainsFunc(s.cfg.Allowed, func(a objectstore.URI) bool { return a.Contains(uri) }) {
		return fault.BadField(field, "%q is not among the sources that may be imported (setting sources.allow)", text)
	}
	if _, err := s.cfg.Stores.Open(ctx, uri); err != nil {
		return storeFault(field, err)
	}
	for _, r := range repositories {
		if err := checkNamespace(field, uri, t, r); err != nil {
			return err
		}
	}
	return nil
}

// checkNamespaceWithin bounds how long a store may take to show that it takes files.
const checkNamespaceWithin = 10 * time.Second

// CheckNamespace refuses, as a fault of storage_namespace, what no repository may have
// (see checkPlace), and what no metadata can be stored in: it stores the tree that holds
// nothing there, and reads it. No other call tells as much, as what imports need is the
// permission for these two, and not that to list.
//
// A store that does not answer is a fault too, of the kind Later: the namespace of a
// repository cannot be changed, and it is of no use while its store is away.
func (s *Service) CheckNamespace(ctx context.Context, namespace string) error {
	const field = "storage_namespace"
	if err := limits.Bytes(field, namespace, limits.Namespace); err != nil {
		return err
	}
	uri, err := objectstore.ParseURI(namespace)
	if err != nil {
		return nil // the catalog says what is wrong with it
	}
	if err := s.checkPlace(ctx, field, uri); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkNamespaceWithin)
	defer cancel()
	files, err := s.files(ctx, namespace)
	if err != nil {
		return storeFault(field, err)
	}
	id, err := metarange.Write(ctx, files, nil)
	if err == nil {
		_, err = files.Get(ctx, id)
	}
	if err == nil || objectstore.Permanent(err) {
		return storeFault(field, err)
	}
	return fault.ComeBack(field, "the store does not answer, try again: %v", err)
}

func checkNamespace(field string, uri objectstore.URI, t imports.PathType, r catalog.Repository) error {
	ns, err := objectstore.ParseURI(r.StorageNamespace)
	if err != nil {
		return fmt.Errorf("storage namespace of repository %q: %w", r.ID, err)
	}
	if overlap(uri, t, directory(ns)) {
		return fault.BadField(field, "invalid import source: %q shares objects with the storage namespace of repository %q", uri, r.ID)
	}
	return nil
}

// checkDestination refuses what would leave the branch, or make keys that are
// no keys.
func checkDestination(field, destination string) error {
	if err := limits.Bytes(field, destination, limits.Key); err != nil {
		return err
	}
	if !utf8.ValidString(destination) {
		return fault.BadField(field, "%q is not valid UTF-8", destination)
	}
	if strings.Contains(destination, "://") {
		return fault.BadField(field, "%q leaves the branch: want a path on it", destination)
	}
	for part := range strings.SplitSeq(destination, "/") {
		if part == "." || part == ".." {
			return fault.BadField(field, "%q leaves the branch: it has an element %q", destination, part)
		}
	}
	return nil
}
