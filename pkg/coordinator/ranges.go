package coordinator

import (
	"context"
	"fmt"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/rangewriter"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// IngestRange lists a source after a key, and writes one range of it, without the queue:
// for clients that drive an import themselves.
func (s *Service) IngestRange(ctx context.Context, repository string, in Ingest) (Ingested, error) {
	r, err := s.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return Ingested{}, err
	}
	repositories, err := s.validate.repositories(ctx)
	if err != nil {
		return Ingested{}, err
	}
	if err := limits.Bytes("after", in.After, limits.URI); err != nil {
		return Ingested{}, err
	}
	path := imports.Path{Type: imports.CommonPrefix, URI: in.FromSourceURI, Destination: in.Prepend}
	if err := s.validate.source(ctx, "fromSourceURI", path.URI, path.Type, repositories); err != nil {
		return Ingested{}, err
	}
	if err := checkDestination("prepend", in.Prepend); err != nil {
		return Ingested{}, err
	}
	mapping, err := source.NewMapping(path)
	if err != nil {
		return Ingested{}, fault.BadField("fromSourceURI", "%v", err)
	}
	after, left, err := ingestAfter(mapping, in)
	if err != nil || !left {
		return Ingested{}, err
	}
	src, err := openPath(ctx, s.cfg.Stores, path, s.cfg.Markers)
	if err != nil {
		return Ingested{}, storeFault("fromSourceURI", err)
	}
	files, err := namespace.Open(ctx, s.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return Ingested{}, err
	}
	out, err := writeOne(ctx, src, after, files, s.cfg.Breaks, mapping.Address(""))
	return out, storeFault("fromSourceURI", err)
}

// openPath opens a path to list it in the mode in which its store is listed.
func openPath(ctx context.Context, stores objectstore.Chooser, p imports.Path, markers imports.Markers) (*source.Source, error) {
	uri, err := objectstore.ParseURI(p.URI)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", objectstore.ErrRefused, err)
	}
	listing, err := stores.Listing(ctx, uri)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, stores, []imports.Path{p}, listing.Mode)
	if err != nil {
		return nil, err
	}
	src.Markers = markers
	return src, nil
}

// ingestAfter maps the source key after which to list to a destination key. Nothing is
// left if the source key lies behind the prefix.
func ingestAfter(m source.Mapping, in Ingest) (after string, left bool, err error) {
	uri, err := objectstore.ParseURI(in.FromSourceURI)
	if err != nil {
		return "", false, fault.BadField("fromSourceURI", "%v", err)
	}
	switch {
	case in.After == "" || in.After < uri.Key:
		return "", true, nil
	case !strings.HasPrefix(in.After, uri.Key):
		return "", false, nil
	default:
		return m.Destination(in.After), true, nil
	}
}

// writeOne writes the first range of what the source lists after a key. The addresses of
// the source's objects are host followed by their keys.
func writeOne(ctx context.Context, src *source.Source, after string, files rangewriter.Files, breaks partition.Breaks, host string) (out Ingested, err error) {
	w := rangewriter.New(ctx, files, breaks, rangewriter.Options{
		Uploads: 1,
		Stored:  func(r partition.RangeMetadata) error { out.Range = &r; return nil },
	})
	defer w.Close()
	closed := false
	for batch, err := range src.List(ctx, after, objectstore.ReadTo(source.Nowhere)) {
		if err != nil {
			return Ingested{}, err
		}
		if closed {
			out.HasMore = true
			break
		}
		var n int
		if n, closed, err = w.WriteRange(ctx, batch); err != nil {
			return Ingested{}, err
		}
		out.LastKey = strings.TrimPrefix(string(batch.Address(n-1)), host)
		if out.HasMore = closed && n < batch.Len(); out.HasMore {
			break
		}
	}
	if closed {
		err = w.Wait()
	} else {
		err = w.Flush()
	}
	if err != nil {
		return Ingested{}, err
	}
	return out, nil
}

// checkRanges refuses ranges that are too many, whose keys are too long, or that do not
// make a tree.
func checkRanges(ranges []partition.RangeMetadata) error {
	if err := limits.Count("ranges", len(ranges), limits.Ranges); err != nil {
		return err
	}
	for i, r := range ranges {
		if max(len(r.MinKey), len(r.MaxKey)) > limits.Key {
			return fault.BadField(fmt.Sprintf("ranges[%d]", i), "a key of more than %d bytes", limits.Key)
		}
	}
	if err := metarange.Check(ranges); err != nil {
		return fault.BadField("ranges", "%v", err)
	}
	return nil
}

// CreateMetarange stores the metarange of ranges that are stored already. It does not
// check that their files exist.
func (s *Service) CreateMetarange(ctx context.Context, repository string, ranges []partition.RangeMetadata) (id string, err error) {
	r, err := s.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return "", err
	}
	if err := checkRanges(ranges); err != nil {
		return "", err
	}
	files, err := namespace.Open(ctx, s.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return "", err
	}
	return metarange.Write(ctx, files, ranges)
}
