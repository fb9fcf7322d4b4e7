package coordinator

import (
	"context"
	"fmt"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// SourcesOf returns the paths of an import as permissions are granted on them: sources in the
// form in which they are listed. It is a fault if there are too many, or one cannot be a source.
func SourcesOf(paths []imports.Path) ([]access.Path, error) {
	if err := limits.Count("paths", len(paths), limits.Paths); err != nil {
		return nil, err
	}
	all := make([]access.Path, len(paths))
	for i, p := range paths {
		var err error
		if all[i], err = sourceOf(fmt.Sprintf("paths[%d]", i), p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// MayImport checks that an import that a caller started may still be committed: that what the
// caller showed is still valid, and that the caller may still import these paths into that branch.
// It returns a fault.Denied if not. Any other error says that this cannot be found out now.
type MayImport func(ctx context.Context, c access.Caller, r access.Request) error

// revoked is the error of an import that may not be committed any more.
type revoked struct{ error }

func (r revoked) Unwrap() error { return r.error }

// permission checks the callers of imports before they are committed.
type permission struct {
	ask     MayImport                   // nil: what was granted at the start holds
	refused func(imports.Record, error) // is told what may not be committed any more; it may be nil
}

// confirm checks the caller of an import. The error is revoked if it lost what it needs.
func (p permission) confirm(ctx context.Context, record imports.Record, c access.Caller) error {
	if p.ask == nil {
		return nil
	}
	paths, err := SourcesOf(record.Job.Paths)
	if err != nil {
		return err
	}
	err = p.ask(ctx, c, access.Request{Repository: record.Request.Repository, Branch: record.Request.Branch, Paths: paths})
	if fault.Is(err, fault.Denied) {
		err = revoked{fmt.Errorf("user %s may not import this any more: %w", c.User, err)}
		p.refuse(record, err)
	}
	return err
}

func (p permission) refuse(record imports.Record, err error) {
	if p.refused != nil {
		p.refused(record, err)
	}
}

// SourceOf is SourcesOf for a prefix that a field of a request names.
func SourceOf(field, uri, destination string) ([]access.Path, error) {
	parsed, err := parseSource(field, uri, imports.CommonPrefix)
	if err != nil {
		return nil, err
	}
	return []access.Path{{Source: parsed.String(), Destination: destination, Prefix: true}}, nil
}

func sourceOf(field string, p imports.Path) (access.Path, error) {
	if p.Type != imports.CommonPrefix && p.Type != imports.Object {
		return access.Path{}, fault.BadField(field+".type", "unknown type %q: want %q or %q", p.Type, imports.CommonPrefix, imports.Object)
	}
	uri, err := parseSource(field+".path", p.URI, p.Type)
	if err != nil {
		return access.Path{}, err
	}
	return access.Path{Source: uri.String(), Destination: p.Destination, Prefix: p.Type == imports.CommonPrefix}, nil
}
