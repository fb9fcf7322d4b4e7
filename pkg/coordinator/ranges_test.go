package coordinator

import (
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// IngestRange returns exactly the keys after any text: the key of an object or of none, of
// the folder itself, before, within or behind the prefix.
func TestIngestRangeStartsAfterAnyKey(t *testing.T) {
	t.Parallel()
	rnd := seeded.Rand(t)
	keys := []string{
		"a", "dir", "dir!", "dir/", "dir/!", "dir/a", "dir/a/", "dir/a/b", "dir/a0", "dir/\x01", "dir/é", "dir/\U0010ffff", "dir0", "z",
	}
	store := &memstore.Store{}
	store.Add(keys...)
	store.PageSize = 3
	f := newFleet(t, store)
	s := f.service()
	t.Cleanup(s.close)
	slices.Sort(keys)
	for _, prefix := range []string{"", "dir", "dir/", "dir/a", "dir/a/"} {
		for _, prepend := range []string{"to", "to/"} {
			afters := []string{"", "!", "dir/a/b/c", "dir//", "dir/b", "dir.", "zz", prefix + "\U0010ffff\U0010ffff"}
			afters = append(afters, keys...)
			afters = append(afters, keys[rnd.IntN(len(keys))]+"\x00")
			for _, after := range afters {
				base := prefix[:strings.LastIndexByte(prefix, '/')+1]
				var want []string
				for _, k := range keys {
					if strings.HasPrefix(k, prefix) && k > after {
						want = append(want, "to/"+strings.TrimPrefix(k, base))
					}
				}
				if got := ingestAll(f, s, Ingest{FromSourceURI: "s3://bucket/" + prefix, Prepend: prepend, After: after}); !slices.Equal(got, want) {
					t.Errorf("of %q to %q after %q: %q, want %q", prefix, prepend, after, got, want)
				}
			}
		}
	}
}

// ingestAll returns the keys of all ranges from in on.
func ingestAll(f *fleet, s *Service, in Ingest) (keys []string) {
	f.t.Helper()
	var ranges []partition.RangeMetadata
	for more := true; more; {
		out, err := s.IngestRange(f.t.Context(), "repo", in)
		expect.NoError(f.t, err)
		if out.Range != nil {
			ranges = append(ranges, *out.Range)
		}
		more, in.After = out.HasMore, out.LastKey
	}
	id, err := metarange.Write(f.t.Context(), f.files(), ranges)
	expect.NoError(f.t, err)
	tree, err := metarange.Open(f.t.Context(), metarange.Windows(f.files()), id)
	expect.NoError(f.t, err)
	for e, err := range tree.Entries(f.t.Context(), "") {
		expect.NoError(f.t, err)
		keys = append(keys, e.Key)
	}
	return keys
}
