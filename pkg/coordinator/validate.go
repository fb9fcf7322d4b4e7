package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// validator refuses requests that cannot be served, with faults that name the field. Its
// methods may be called concurrently.
type validator struct {
	cfg     Config
	imports *imports.Store
	home    home
	known   *namespaces // of home
}

// start refuses an import that cannot be made, and returns the repository to import into.
func (v *validator) start(ctx context.Context, start Start) (catalog.Repository, error) {
	var none catalog.Repository
	if err := catalog.CheckText("commit.", start.Request.Message, start.Request.Metadata); err != nil {
		return none, err
	}
	if err := limits.Count("paths", len(start.Paths), limits.Paths); err != nil {
		return none, err
	}
	repository, err := v.home.open(ctx, start)
	if err != nil {
		return none, err
	}
	repositories, err := v.home.repositories(ctx)
	if err != nil {
		return none, err
	}
	repositories = append(slices.Clip(repositories), repository) // it may be newer than the list
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

// path refuses a path that may not be imported, or whose destination is not on the
// branch.
func (v *validator) path(ctx context.Context, field string, p imports.Path, repositories []catalog.Repository) error {
	if _, err := sourceOf(field, p); err != nil {
		return err
	}
	if _, err := v.source(ctx, field+".path", p.URI, p.Type, repositories); err != nil {
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

// prefix refuses a prefix that may not be listed outside of an import.
func (v *validator) prefix(ctx context.Context, field, text string) (objectstore.URI, error) {
	repositories, err := v.home.repositories(ctx)
	if err != nil {
		return objectstore.URI{}, err
	}
	return v.source(ctx, field, text, imports.CommonPrefix, repositories)
}

// source refuses a source that the settings do not allow, or that shares objects with the
// storage namespace of a repository: importing those would make metadata, or files of
// other repositories, look like data.
func (v *validator) source(ctx context.Context, field, text string, t imports.PathType, repositories []catalog.Repository) (objectstore.URI, error) {
	uri, err := parseSource(field, text, t)
	if err != nil {
		return uri, err
	}
	if err := refuseNamespaces(field, uri, t, repositories); err != nil {
		return uri, err
	}
	if len(v.cfg.Allowed) > 0 && !slices.ContainsFunc(v.cfg.Allowed, func(a objectstore.URI) bool { return a.Contains(uri) }) {
		return uri, fault.BadField(field, "%q is not among the sources that may be imported (setting sources.allow)", text)
	}
	if _, err := v.cfg.Stores.OpenSource(ctx, uri, t == imports.Object); err != nil {
		return uri, storeFault(field, err)
	}
	return uri, nil
}

// refuseNamespaces refuses a source that shares objects with the storage namespace of a
// repository. The fault does not name the repository: the caller may not see it.
func refuseNamespaces(field string, uri objectstore.URI, t imports.PathType, repositories []catalog.Repository) error {
	for _, r := range repositories {
		namespace, err := objectstore.ParseURI(r.StorageNamespace)
		if err != nil {
			return fmt.Errorf("storage namespace of repository %q: %w", r.ID, err)
		}
		if overlap(uri, t, directory(namespace)) {
			return fault.BadField(field, "invalid import source: import path (%s) in repository namespace is prohibited", uri)
		}
	}
	return nil
}

// parseSource reads a source, and refuses one that is too long or cannot be a source.
func parseSource(field, text string, t imports.PathType) (uri objectstore.URI, err error) {
	if err := limits.Bytes(field, text, limits.URI); err != nil {
		return uri, err
	}
	if !utf8.ValidString(text) {
		return uri, fault.BadField(field, "%q is not valid UTF-8", text)
	}
	uri, err = objectstore.ParseURI(text)
	if err != nil {
		return uri, fault.BadField(field, "invalid import source: %v", err)
	}
	if uri.Scheme == objectstore.SchemeS3 && len(uri.Key) > limits.Key {
		return uri, fault.BadField(field, "its key takes %d bytes, at most %d are allowed", len(uri.Key), limits.Key)
	}
	if t == imports.Object && (uri.Key == "" || uri.Scheme == objectstore.SchemeLocal && strings.HasSuffix(uri.Key, "/")) {
		return uri, fault.BadField(field, "%q names no object", text)
	}
	return uri, nil
}

// checkDestination refuses a destination that leaves the branch, or that makes keys that
// are not valid.
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

// directory returns a namespace as the prefix of its files.
func directory(namespace objectstore.URI) objectstore.URI {
	if namespace.Key = strings.Trim(namespace.Key, "/"); namespace.Key != "" {
		namespace.Key += "/"
	}
	return namespace
}

// overlap reports whether a source shares objects with a namespace, a directory.
func overlap(source objectstore.URI, t imports.PathType, namespace objectstore.URI) bool {
	source, namespace = objectstore.Comparable(source, namespace)
	bare := namespace
	bare.Key = strings.TrimSuffix(bare.Key, "/")
	return namespace.Contains(source) || source == bare || t == imports.CommonPrefix && source.Contains(namespace)
}

// storeFault turns an error that trying again does not help into a fault of the field that
// named the store.
func storeFault(field string, err error) error {
	if err != nil && objectstore.Permanent(err) {
		return fault.BadField(field, "%v", err)
	}
	return err
}
