package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/natsconn"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// checkNamespaceWithin bounds the time that CheckNamespace waits for a store.
const checkNamespaceWithin = 10 * time.Second

// namespaceField is the field of a request that names a storage namespace.
const namespaceField = "storage_namespace"

// CheckNamespace checks that a storage namespace is allowed, that it shares no objects with
// a source, and that files can be stored in it: it stores the empty tree, and reads it
// back. It does not list, since imports need no permission for that. What it refuses is a
// fault of the field storage_namespace. The fault names no import, as the caller may not see it; the
// log does.
//
// A store that does not answer is a fault of the kind Later: the namespace of a repository
// cannot be changed, and is of no use while its store is away.
func (s *Service) CheckNamespace(ctx context.Context, text string) error {
	if err := limits.Bytes(namespaceField, text, limits.Namespace); err != nil {
		return err
	}
	uri, err := objectstore.ParseURI(text)
	if err != nil {
		return nil // the catalog says what is wrong with it
	}
	if by, err := s.validate.namespace(ctx, directory(uri)); err != nil {
		if by != "" {
			s.cfg.Log.InfoContext(ctx, "storage namespace refused: a source of an import has the same objects", "namespace", text, "import", by)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkNamespaceWithin)
	defer cancel()
	files, err := namespace.Open(ctx, s.cfg.Stores, text)
	if err != nil {
		return storeFault(namespaceField, err)
	}
	id, err := metarange.Write(ctx, files, nil)
	if err == nil {
		_, err = files.Get(ctx, id)
	}
	if err == nil || objectstore.Permanent(err) {
		return storeFault(namespaceField, err)
	}
	return fault.Unavailable(namespaceField, "the store does not answer, try again: %v", err)
}

// namespace refuses a storage namespace that would take a source away from imports, since no
// source may share objects with a namespace. It refuses what the settings do not allow,
// and what was imported lately. A place within an allowed source is for namespaces if the
// setting namespaces.allow names it, or a place within the source that contains it. by is the import
// for which it is refused, if there is one.
func (v *validator) namespace(ctx context.Context, namespace objectstore.URI) (by string, err error) {
	homes := slices.DeleteFunc(slices.Clone(v.cfg.Namespaces), func(home objectstore.URI) bool { return !home.Contains(namespace) })
	if len(v.cfg.Namespaces) > 0 && len(homes) == 0 {
		return "", fault.BadField(namespaceField, "%q lies in none of the prefixes of the setting namespaces.allow", namespace)
	}
	for _, source := range v.cfg.Allowed {
		setAside := slices.ContainsFunc(homes, func(home objectstore.URI) bool { return home != source && source.Contains(home) })
		if overlap(source, imports.CommonPrefix, namespace) && !setAside {
			return "", fault.BadField(namespaceField, "%q shares objects with %q of the setting sources.allow, which could not be imported any more: "+
				"take another namespace, or name this one in the setting namespaces.allow", namespace, source)
		}
	}
	err = eachImport(ctx, v.imports, func(r imports.Record) error {
		if r.State == imports.Failed || r.State == imports.Canceled || r.State == imports.Completed && len(homes) > 0 {
			return nil
		}
		for _, p := range r.Job.Paths {
			uri, err := objectstore.ParseURI(p.URI)
			if err != nil {
				return fmt.Errorf("a source of import %s: %w", r.Job.ImportID, err)
			}
			if overlap(uri, p.Type, namespace) {
				by = r.Job.ImportID
				return fault.BadField(namespaceField, "%q shares objects with a source that is or was imported, which could not be imported any more: take another namespace", namespace)
			}
		}
		return nil
	})
	return by, err
}

// DeleteRepository deletes a repository, and nothing in the store. It is a Conflict while
// imports into the repository run. An import that is accepted at the same moment fails
// when it is about to land.
func (s *Service) DeleteRepository(ctx context.Context, id string) error {
	if _, err := s.state.Catalog.Repository(ctx, id); err != nil && !fault.Is(err, fault.Broken) {
		return err
	}
	running, err := runningImports(ctx, s.state.Imports, func(r imports.Request) bool { return r.Repository == id })
	if err != nil {
		return err
	}
	if running > 0 {
		return inUse("repository", id, running)
	}
	if err := s.state.Catalog.DeleteRepository(ctx, id); err != nil {
		return err
	}
	s.cfg.Log.InfoContext(ctx, "repository deleted", "repository", id)
	return nil
}

// runningImports counts the imports that have not ended, of those requests that match.
func runningImports(ctx context.Context, store *imports.Store, match func(imports.Request) bool) (n int, err error) {
	err = eachImport(ctx, store, func(r imports.Record) error {
		if match(r.Request) && !r.State.Ended() {
			n++
		}
		return nil
	})
	return n, err
}

// inUse refuses to delete what running imports need. It does not name them: the caller may not see
// them.
func inUse(what, name string, running int) error {
	return fault.Conflicting("%s %q has running imports (%d): cancel them or let them end", what, name, running)
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
