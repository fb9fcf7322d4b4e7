package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/queue"
)

// DeleteRepository deletes a repository, and nothing in the store. It is a Conflict while
// imports into the repository run. One that is accepted at the same moment fails when it
// is to land.
func (s *Service) DeleteRepository(ctx context.Context, id string) error {
	if _, err := s.cfg.Catalog.Repository(ctx, id); err != nil && !fault.Is(err, fault.Broken) {
		return err
	}
	var running []string
	err := s.eachImport(ctx, func(r imports.Record) error {
		if r.Request.Repository == id && !r.State.Ended() {
			running = append(running, r.Job.ImportID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(running) > 0 {
		return fault.Conflicting("repository %q has running imports (%d), such as %s: cancel them or let them end", id, len(running), running[0])
	}
	if err := s.cfg.Catalog.DeleteRepository(ctx, id); err != nil {
		return err
	}
	s.cfg.Log.Info("repository deleted", "repository", id)
	return nil
}

// eachImport calls f for the records of all imports that are kept and can be read: those of
// another version of the protocol, or that cannot be decoded, land nowhere.
func (s *Service) eachImport(ctx context.Context, f func(imports.Record) error) error {
	ids, err := s.cfg.Imports.IDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := s.cfg.Imports.Get(ctx, id)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Broken) || errors.Is(err, queue.ErrProtocol) {
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

// checkPlace refuses a storage namespace, as a fault of the field, that would take a
// source away from imports: no source may share objects with a namespace. It refuses
// what the settings do not allow, and what was imported lately. A place within an allowed
// source is for namespaces if the setting namespaces.allow names it, or a place in it.
func (s *Service) checkPlace(ctx context.Context, field string, namespace objectstore.URI) error {
	namespace = directory(namespace)
	var homes []objectstore.URI
	for _, home := range s.cfg.Namespaces {
		if home.Contains(namespace) {
			homes = append(homes, home)
		}
	}
	if len(s.cfg.Namespaces) > 0 && len(homes) == 0 {
		return fault.BadField(field, "%q lies in none of the prefixes of the setting namespaces.allow", namespace)
	}
	for _, source := range s.cfg.Allowed {
		setAside := slices.ContainsFunc(homes, func(home objectstore.URI) bool { return home != source && source.Contains(home) })
		if overlap(source, imports.CommonPrefix, namespace) && !setAside {
			return fault.BadField(field, "%q shares objects with %q of the setting sources.allow, which could not be imported any more: "+
				"take another namespace, or name this one in the setting namespaces.allow", namespace, source)
		}
	}
	return s.eachImport(ctx, func(r imports.Record) error {
		if r.State == imports.Failed || r.State == imports.Canceled || r.State == imports.Completed && len(homes) > 0 {
			return nil
		}
		return checkApart(field, namespace, r)
	})
}

// checkApart refuses a namespace that shares objects with a source of an import.
func checkApart(field string, namespace objectstore.URI, r imports.Record) error {
	for _, p := range r.Job.Paths {
		uri, err := objectstore.ParseURI(p.URI)
		if err != nil {
			return fmt.Errorf("a source of import %s: %w", r.Job.ImportID, err)
		}
		if overlap(uri, p.Type, namespace) {
			return fault.BadField(field, "%q shares objects with %q, which could not be imported any more (import %s reads it, or did): take another namespace",
				namespace, p.URI, r.Job.ImportID)
		}
	}
	return nil
}

// directory returns a namespace as the prefix of its files.
func directory(namespace objectstore.URI) objectstore.URI {
	if namespace.Key = strings.Trim(namespace.Key, "/"); namespace.Key != "" {
		namespace.Key += "/"
	}
	return namespace
}

// overlap reports whether a source shares objects with a namespace, a directory.
func overlap(source objectstore.URI, t imports.PathType, namespace objectstore.URI) bool {
	bare := namespace
	bare.Key = strings.TrimSuffix(bare.Key, "/")
	return namespace.Contains(source) || source == bare || t == imports.CommonPrefix && source.Contains(namespace)
}
