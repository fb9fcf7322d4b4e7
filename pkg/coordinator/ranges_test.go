package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
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

// A range is what its file says, or it is refused with an error that names the field that differs.
func TestRangesAreComparedWithTheirFiles(t *testing.T) {
	t.Parallel()
	f, entries := numberedFleet(t, 500)
	longest := strings.Repeat("k", limits.Key)
	f.commit(append(entries, entry.Entry{Key: longest, Address: "s3://bucket/k"})...)
	s := f.service()
	t.Cleanup(s.close)
	head := f.log()[0].MetarangeID
	all, err := metarange.Read(t.Context(), f.files(), head)
	expect.NoError(t, err)
	if len(all) < 3 || all[len(all)-1].MaxKey != longest {
		t.Fatalf("%d ranges up to %.9q", len(all), all[len(all)-1].MaxKey)
	}
	if id, err := s.CreateMetarange(t.Context(), "repo", all); err != nil || id != head {
		t.Errorf("the ranges of a tree: %s, %v, want %s", id, err, head)
	}
	if _, err := s.CreateMetarange(t.Context(), "repo", nil); err != nil {
		t.Errorf("no ranges: %v", err)
	}
	expect.NoError(t, f.buckets["repo"].Put(t.Context(), "ns/_lakefs/"+strings.Repeat("e", 64), nil, objectstore.Sum{}))
	expect.NoError(t, f.buckets["repo"].Put(t.Context(), "ns/_lakefs/"+strings.Repeat("f", 64), []byte(strings.Repeat("no table ", 100)), objectstore.Sum{}))
	last := len(all) - 1
	for field, change := range map[string]func(r *partition.RangeMetadata) string{
		"min_key":        func(r *partition.RangeMetadata) string { r.MinKey += "0"; return `, but the range begins at "` },
		"max_key":        func(r *partition.RangeMetadata) string { r.MaxKey = r.MaxKey[1:]; return `, but the range ends at "` },
		"count":          func(r *partition.RangeMetadata) string { r.Count++; return ", but the range has " },
		"estimated_size": func(r *partition.RangeMetadata) string { r.EstimatedSize--; return ", but that of the range is " },
		"id": func(r *partition.RangeMetadata) string {
			r.ID = strings.Repeat("0", 64)
			return "range not found"
		},
		"id, empty":     func(r *partition.RangeMetadata) string { r.ID = strings.Repeat("e", 64); return "is not a range" },
		"id, no table":  func(r *partition.RangeMetadata) string { r.ID = strings.Repeat("f", 64); return "is not a range" },
		"id, metarange": func(r *partition.RangeMetadata) string { r.ID = head; return "is not a range" },
	} {
		ranges := slices.Clone(all)
		text := change(&ranges[last])
		field, _, _ = strings.Cut(field, ",")
		_, err := s.CreateMetarange(t.Context(), "repo", ranges)
		want, answer := fmt.Sprintf("invalid range: ranges[%d].%s: ", last, field), ErrRange
		if field == "id" && strings.Contains(text, "not found") {
			want, answer = fmt.Sprintf("ranges[%d].id: ", last), errNoRange
		}
		if !errors.Is(err, answer) || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want an error that begins %q", field, err, want)
		}
	}
	for name, change := range map[string]func([]partition.RangeMetadata){
		"a path":         func(r []partition.RangeMetadata) { r[1].ID = "../x" },
		"a path of 64":   func(r []partition.RangeMetadata) { r[1].ID = strings.Repeat("../", 21) + "x" },
		"in capitals":    func(r []partition.RangeMetadata) { r[1].ID = strings.ToUpper(r[1].ID) },
		"no entries":     func(r []partition.RangeMetadata) { r[1].Count = 0 },
		"out of order":   func(r []partition.RangeMetadata) { r[0], r[1] = r[1], r[0] },
		"twice":          func(r []partition.RangeMetadata) { r[1] = r[0] },
		"common keys":    func(r []partition.RangeMetadata) { r[1].MinKey = r[0].MaxKey },
		"ends too early": func(r []partition.RangeMetadata) { r[1].MinKey, r[1].MaxKey = r[1].MaxKey, r[1].MinKey },
		"without a key":  func(r []partition.RangeMetadata) { r[0].MinKey = "" },
	} {
		ranges := slices.Clone(all)
		change(ranges)
		if _, err := s.CreateMetarange(t.Context(), "repo", ranges); !errors.Is(err, ErrRange) {
			t.Errorf("%s: %v, want an invalid range", name, err)
		}
	}
	away := errors.New("no route to host")
	f.buckets["repo"].Hook = func(context.Context, memstore.Call) error { return away }
	if _, err := s.CreateMetarange(t.Context(), "repo", all); !errors.Is(err, away) {
		t.Errorf("a store that is away: %v", err)
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
	tree, err := metarange.Open(f.t.Context(), metarange.Windows(f.files()), "", id)
	expect.NoError(f.t, err)
	for e, err := range tree.Entries(f.t.Context(), "") {
		expect.NoError(f.t, err)
		keys = append(keys, e.Key)
	}
	return keys
}
