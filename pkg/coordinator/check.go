package coordinator

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// checkLimits refuses fields that are too long and lists that are too many, before
// anything is looked up.
func checkLimits(start Start) error {
	return cmp.Or(
		checkCommit("commit", start.Request.Message, start.Request.Metadata),
		limits.Count("paths", len(start.Paths), limits.Paths),
	)
}

// checkCommit refuses a message or metadata that is too long for a commit.
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
		return uri, fault.BadField(field, "%v", err)
	}
	if uri.Scheme == objectstore.SchemeS3 && len(uri.Key) > limits.Key {
		return uri, fault.BadField(field, "its key takes %d bytes, at most %d are allowed", len(uri.Key), limits.Key)
	}
	if t == imports.Object && (uri.Key == "" || uri.Scheme == objectstore.SchemeLocal && strings.HasSuffix(uri.Key, "/")) {
		return uri, fault.BadField(field, "%q names no object", text)
	}
	return uri, nil
}

// checkNamespace refuses a source that shares objects with the storage namespace of a
// repository.
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

// storeFault turns an error that trying again does not help into a fault of the field that
// named the store.
func storeFault(field string, err error) error {
	if err != nil && objectstore.Permanent(err) {
		return fault.BadField(field, "%v", err)
	}
	return err
}
