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

// Ingest asks for one range of a source's keys.
type Ingest struct {
	FromSourceURI string // a prefix, as objectstore.ParseURI reads it
	After         string // only source keys after this one, which may lie anywhere
	Prepend       string // destination
}

// Ingested is one range, and where the next one starts.
type Ingested struct {
	Range   *partition.RangeMetadata // nil if no key was left
	HasMore bool
	LastKey string // the last source key of the range: the After of the next one
}

// IngestRange lists a source after a key, and writes one range of it, without the queue:
// for clients that drive an import themselves.
func (s *Service) IngestRange(ctx context.Context, repository string, in Ingest) (Ingested, error) {
	const field = "fromSourceURI"
	r, err := s.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return Ingested{}, err
	}
	if err := limits.Bytes("after", in.After, limits.URI); err != nil {
		return Ingested{}, err
	}
	uri, err := s.validate.prefix(ctx, field, in.FromSourceURI)
	if err != nil {
		return Ingested{}, err
	}
	if err := checkDestination("prepend", in.Prepend); err != nil {
		return Ingested{}, err
	}
	path := imports.Path{Type: imports.CommonPrefix, URI: in.FromSourceURI, Destination: in.Prepend}
	mapping, err := source.NewMapping(path)
	if err != nil {
		return Ingested{}, fault.BadField(field, "%v", err)
	}
	after := ""
	if in.After != "" && in.After >= uri.Key {
		if !strings.HasPrefix(in.After, uri.Key) {
			return Ingested{}, nil // it lies behind all keys of the source
		}
		after = mapping.Destination(in.After)
	}
	src, err := openPath(ctx, s.cfg, uri, path)
	if err != nil {
		return Ingested{}, storeFault(field, err)
	}
	files, err := namespace.Open(ctx, s.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return Ingested{}, err
	}
	out, err := writeOne(ctx, src, after, files, s.cfg.Breaks, mapping.Address(""))
	return out, storeFault(field, err)
}

// openPath opens a path to list it in the mode in which its store is listed.
func openPath(ctx context.Context, cfg Config, uri objectstore.URI, p imports.Path) (*source.Source, error) {
	listing, err := cfg.Stores.Listing(ctx, uri)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, cfg.Stores, []imports.Path{p}, listing.Mode)
	if err != nil {
		return nil, err
	}
	src.Markers = cfg.Markers
	return src, nil
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
			return out, err
		}
		if out.HasMore = closed; closed {
			break
		}
		var n int
		if n, closed, err = w.WriteRange(ctx, batch); err != nil {
			return out, err
		}
		out.LastKey = strings.TrimPrefix(string(batch.Address(n-1)), host)
		if out.HasMore = closed && n < batch.Len(); out.HasMore {
			break
		}
	}
	err = w.Flush() // after it, out.Range is set
	return out, err
}

// CreateMetarange stores the metarange of ranges that are stored already. It refuses ranges
// that do not make a tree, or that are not what their files say, by ErrRange. It returns
// fault.NotFound for ranges that the repository does not have.
func (s *Service) CreateMetarange(ctx context.Context, repository string, ranges []partition.RangeMetadata) (id string, err error) {
	r, err := s.state.Catalog.Repository(ctx, repository)
	if err != nil {
		return "", err
	}
	if err := limits.Count("ranges", len(ranges), limits.Ranges); err != nil {
		return "", err
	}
	for i, r := range ranges {
		if max(len(r.MinKey), len(r.MaxKey)) > limits.Key {
			return "", fault.BadField(fmt.Sprintf("ranges[%d]", i), "a key of more than %d bytes", limits.Key)
		}
	}
	if err := metarange.Check(ranges); err != nil {
		return "", fmt.Errorf("%w: ranges: %w", ErrRange, err)
	}
	files, err := namespace.Open(ctx, s.cfg.Stores, r.StorageNamespace)
	if err != nil {
		return "", err
	}
	if err := s.looks.checkFiles(ctx, files, ranges); err != nil {
		return "", err
	}
	return metarange.Write(ctx, files, ranges)
}
