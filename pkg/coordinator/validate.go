package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// validator refuses requests that cannot be served, with faults that name the field. Its
// methods may be called concurrently.
type validator struct {
	imports    *imports.Store
	catalog    *catalog.Catalog
	stores     objectstore.Chooser
	allowed    []objectstore.URI // see Config
	namespaces []objectstore.URI // see Config
	broken     *brokenRecords
}

// start refuses an import that cannot be made, and returns the repository to import into.
func (v *validator) start(ctx context.Context, start Start) (catalog.Repository, error) {
	var none catalog.Repository
	if err := checkLimits(start); err != nil {
		return none, err
	}
	repository, err := v.catalog.Repository(ctx, start.Request.Repository)
	if err != nil {
		return none, err
	}
	if _, err := v.catalog.Branch(ctx, repository.ID, start.Request.Branch); err != nil {
		return none, err
	}
	repositories, err := v.repositories(ctx)
	if err != nil {
		return none, err
	}
	for i, p := range start.Paths {
		if err := v.path(ctx, fmt.Sprintf("paths[%d]", i), p, repositories); err != nil {
			return none, err
		}
	}
	open, err := source.OpenAtOnce(start.Paths)
	if err == nil && open > limits.OpenPaths {
		err = fault.BadField("paths", "%d of them have destinations that overlap, at most %d are allowed", open, limits.OpenPaths)
	}
	return repository, err
}

// repositories returns all repositories, whose namespaces no source may touch. One that
// was created a moment ago may be missing, as if it were created a moment from now.
// Repositories whose records cannot be decoded are left out: they would block all imports.
func (v *validator) repositories(ctx context.Context) (all []catalog.Repository, err error) {
	broken := make(map[string]string)
	for after, more := "", true; more; {
		var page []catalog.Repository
		if page, more, err = v.catalog.Repositories(ctx, "", after, 1000); err != nil {
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
	v.broken.note(kv.BucketCatalog, broken)
	return all, nil
}

// path refuses a path that may not be imported, or whose destination is not on the
// branch.
func (v *validator) path(ctx context.Context, field string, p imports.Path, repositories []catalog.Repository) error {
	if p.Type != imports.CommonPrefix && p.Type != imports.Object {
		return fault.BadField(field+".type", "unknown type %q: want %q or %q", p.Type, imports.CommonPrefix, imports.Object)
	}
	if err := v.source(ctx, field+".path", p.URI, p.Type, repositories); err != nil {
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

// source refuses a source that the settings do not allow, or that shares objects with the
// storage namespace of a repository: importing those would make metadata, or files of
// other repositories, look like data.
func (v *validator) source(ctx context.Context, field, text string, t imports.PathType, repositories []catalog.Repository) error {
	uri, err := parseSource(field, text, t)
	if err != nil {
		return err
	}
	if len(v.allowed) > 0 && !slices.ContainsFunc(v.allowed, func(a objectstore.URI) bool { return a.Contains(uri) }) {
		return fault.BadField(field, "%q is not among the sources that may be imported (setting sources.allow)", text)
	}
	if _, err := v.stores.Open(ctx, uri); err != nil {
		return storeFault(field, err)
	}
	for _, r := range repositories {
		if err := checkNamespace(field, uri, t, r); err != nil {
			return err
		}
	}
	return nil
}

// checkNamespaceWithin bounds the time that CheckNamespace waits for a store.
const checkNamespaceWithin = 10 * time.Second

// CheckNamespace checks that a storage namespace is allowed, that it shares no objects with
// a source, and that files can be stored in it: it stores the empty tree, and reads it
// back. It does not list, since imports need no permission for that. What it refuses is a
// fault of the field storage_namespace.
//
// A store that does not answer is a fault of the kind Later: the namespace of a repository
// cannot be changed, and is of no use while its store is away.
func (s *Service) CheckNamespace(ctx context.Context, namespace string) error {
	return s.validate.namespace(ctx, "storage_namespace", namespace)
}

func (v *validator) namespace(ctx context.Context, field, text string) error {
	if err := limits.Bytes(field, text, limits.Namespace); err != nil {
		return err
	}
	uri, err := objectstore.ParseURI(text)
	if err != nil {
		return nil // the catalog says what is wrong with it
	}
	if err := v.place(ctx, field, uri); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkNamespaceWithin)
	defer cancel()
	files, err := namespace.Open(ctx, v.stores, text)
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
	return fault.Unavailable(field, "the store does not answer, try again: %v", err)
}

// place refuses a storage namespace that would take a source away from imports, since no
// source may share objects with a namespace. It refuses what the settings do not allow,
// and what was imported lately. A place within an allowed source is for namespaces if the
// setting namespaces.allow names it, or a place within the source that contains it.
func (v *validator) place(ctx context.Context, field string, namespace objectstore.URI) error {
	namespace = directory(namespace)
	var homes []objectstore.URI
	for _, home := range v.namespaces {
		if home.Contains(namespace) {
			homes = append(homes, home)
		}
	}
	if len(v.namespaces) > 0 && len(homes) == 0 {
		return fault.BadField(field, "%q lies in none of the prefixes of the setting namespaces.allow", namespace)
	}
	for _, source := range v.allowed {
		setAside := slices.ContainsFunc(homes, func(home objectstore.URI) bool { return home != source && source.Contains(home) })
		if overlap(source, imports.CommonPrefix, namespace) && !setAside {
			return fault.BadField(field, "%q shares objects with %q of the setting sources.allow, which could not be imported any more: "+
				"take another namespace, or name this one in the setting namespaces.allow", namespace, source)
		}
	}
	return eachImport(ctx, v.imports, func(r imports.Record) error {
		if r.State == imports.Failed || r.State == imports.Canceled || r.State == imports.Completed && len(homes) > 0 {
			return nil
		}
		return checkApart(field, namespace, r)
	})
}

// eachImport calls f with all records of imports that can be read. Those of another
// version of the protocol, or that cannot be decoded, are left out: their imports land
// nowhere.
func eachImport(ctx context.Context, store *imports.Store, f func(imports.Record) error) error {
	ids, err := store.IDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := store.Get(ctx, id)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) || errors.Is(err, natsconn.ErrProtocol) {
			continue
		}
		if err == nil {
			err = f(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
