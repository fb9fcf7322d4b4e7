package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rangefleet/rangefleet/internal/liar"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/readahead"
)

// lying opens the buckets of a fleet, and one named "liar" whose listings lie.
type lying struct {
	memstore.Buckets
	bucket objectstore.Store
	mode   objectstore.Mode
}

func (l lying) OpenSource(ctx context.Context, u objectstore.URI, _ bool) (objectstore.Store, error) {
	if u.Bucket == "liar" {
		return l.bucket, nil
	}
	return l.Buckets.Open(ctx, u)
}

func (l lying) Listing(context.Context, objectstore.URI) (objectstore.Listing, error) {
	return objectstore.Listing{Mode: l.mode}, nil
}

// siblings returns keys of directories, and keys that sort just before and after them.
func siblings(r *rand.Rand, n int) []string {
	var keys []string
	for range n {
		between := []string{"/", "!", "-", ".", "/d/", "0", ""}[r.IntN(7)]
		keys = append(keys, fmt.Sprintf("%c%s%04x", 'a'+rune(r.IntN(3)), between, r.IntN(1<<14)))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestNoLieLosesKeysSilently imports buckets that lie about starts within a span of keys,
// in partitions that are cut anywhere. A walk has all keys. A parallel listing has all
// keys too, or the import fails with an error that says why.
func TestNoLieLosesKeysSilently(t *testing.T) {
	t.Parallel()
	r := seeded.Rand(t)
	f := newFleet(t, &memstore.Store{})
	failed, completed := 0, 0
	for round := range 48 {
		s := &liar.Store{Keys: siblings(r, 200+r.IntN(1500)), PageSize: 1 + r.IntN(60), Lie: liar.Lies[round%len(liar.Lies)]}
		a, b := s.Keys[r.IntN(len(s.Keys))], s.Keys[r.IntN(len(s.Keys))]
		s.From, s.To = min(a, b), max(a, b)
		var entries []entry.Entry
		for _, key := range s.Keys {
			o := liar.Object(key)
			entries = append(entries, entry.Entry{Key: key, Address: "s3://liar/" + key, ETag: o.ETag, Size: o.Size, ModTime: o.ModTime})
		}
		mode := objectstore.Parallel
		if round%4 == 3 {
			mode = objectstore.Walk
		}
		cfg := readahead.Config{ConfirmEnds: true, Limiter: readahead.NewLimiter(readahead.Limits{Most: 4})}
		f.config.Stores = lying{f.buckets, readahead.Wrap(s, s, cfg, readahead.NewMetrics(prometheus.NewRegistry())), mode}
		var cuts []string
		for range r.IntN(4) {
			cuts = append(cuts, s.Keys[r.IntN(len(s.Keys))]+[]string{"", "0", "~"}[r.IntN(3)])
		}
		slices.Sort(cuts)
		outcome := importLies(f, mode, slices.Compact(cuts))
		what := fmt.Sprintf("round %d, %s listing of %d keys in pages of %d, %s within (%q, %q], cut at %q", round, mode, len(s.Keys), s.PageSize, s.Lie, s.From, s.To, cuts)
		switch {
		case outcome.State == imports.Completed:
			completed++
			if got := f.log()[0].MetarangeID; got != metarangeOf(t, entries, small) {
				t.Fatalf("%s: the import holds %d of %d keys", what, outcome.Objects, len(s.Keys))
			}
		case mode == objectstore.Walk || !strings.Contains(outcome.Error, "list"):
			t.Fatalf("%s: the import is %s: %s", what, outcome.State, outcome.Error)
		default:
			failed++
		}
	}
	t.Logf("%d imports completed, %d failed", completed, failed)
	if completed == 0 {
		t.Error("no import completed")
	}
}

// importLies imports the bucket "liar", cut at keys, and returns the record of its end.
func importLies(f *fleet, mode objectstore.Mode, cuts []string) imports.Record {
	s := f.service()
	request := Start{
		Request: imports.Request{Repository: "repo", Branch: "main", Committer: "me", Message: "m"},
		Paths:   []imports.Path{{Type: imports.CommonPrefix, URI: "s3://liar/"}},
	}
	id := f.startCutIn(s, request, mode, cuts...)
	stop, stopWork := f.run(s.Run), f.work(3)
	defer stop()
	defer stopWork()
	return f.ended(id)
}
