package coordinator

import (
	"context"
	"testing"

	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// untrusted are buckets that are listed by walks.
type untrusted struct{ memstore.Buckets }

func (untrusted) Listing(context.Context, objectstore.URI) (objectstore.Listing, error) {
	return objectstore.Listing{Mode: objectstore.Walk, Why: "nobody knows the store"}, nil
}

// A store that answers every LIST after a key with no keys, as MinIO does after some keys,
// is imported whole, by an import and by single ranges.
func TestAStoreThatAnswersNoStartIsImportedWhole(t *testing.T) {
	t.Parallel()
	source, entries := numbered(3000)
	source.EndsAfter = func(after string) bool { return after != "" }
	f := newFleet(t, source)
	f.config.Stores = untrusted{f.buckets}
	s, _ := f.serve()
	f.work(2)
	id := f.start(s, request("", ""))
	record := f.completed(id)
	if got := f.log()[0].MetarangeID; got != metarangeOf(t, entries, small) || record.Objects != 3000 {
		t.Errorf("%d objects, metarange %s is not that of a single reader", record.Objects, got)
	}
	if l := record.Job.Listing; !l.Walks() || l.Why != "nobody knows the store" {
		t.Errorf("the record has the listing %+v", l)
	}
	var objects int64
	for in := (Ingest{FromSourceURI: "s3://bucket/"}); ; {
		out, err := s.IngestRange(t.Context(), "repo", in)
		if err != nil {
			t.Fatal(err)
		}
		if out.Range != nil {
			objects += out.Range.Count
		}
		if in.After = out.LastKey; !out.HasMore {
			break
		}
	}
	if objects != 3000 {
		t.Errorf("single ranges hold %d of 3000 objects", objects)
	}
}
