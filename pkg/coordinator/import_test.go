package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

func TestAnImportLands(t *testing.T) {
	t.Parallel()
	rng := seeded.Rand(t)
	entries := entrytest.Random(rng, 600)
	source := memstore.Of(entries)
	source.PageSize = 100
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(3)
	r := f.do(s, request("", ""))
	checkLanded(t, f, r, entries)
	head := f.log()[0]
	repo, err := f.catalog.Repository(t.Context(), "repo")
	expect.NoError(t, err)
	if got, want := repo.Metadata[".lakefs.last.import.timestamp"], strconv.FormatInt(head.Created.Unix(), 10); got != want {
		t.Errorf("the last import of the repository was at %s, want %s", got, want)
	}
	st, err := s.Status(t.Context(), "repo", r.Job.ImportID)
	expect.NoError(t, err)
	if st.Commit == nil || st.Commit.ID != head.ID || st.Objects != r.Objects || st.Ranges != r.Attempt.Ranges || !st.Updated.Equal(r.Updated) {
		t.Errorf("status %+v", st)
	}

	again := f.do(s, request("", ""))
	if again.Attempt.MetarangeID != r.Attempt.MetarangeID || again.Job.ImportID == r.Job.ImportID || len(f.log()) != 3 {
		t.Errorf("the same import again has metarange %s, want %s", again.Attempt.MetarangeID, r.Attempt.MetarangeID)
	}
	if left, err := f.backend.Queue.OutstandingCount(t.Context(), r.Job.ImportID); err != nil || left > 0 {
		t.Errorf("after the import ended %d of its partitions are queued, %v", left, err)
	}
}

// checkLanded checks that an import of the entries, with the record r, is on main.
func checkLanded(t *testing.T, f *fleet, r imports.Record, entries []entry.Entry) {
	t.Helper()
	log := f.log()
	head := log[0]
	if want := metarangeOf(t, entries, small); head.MetarangeID != want || r.Attempt.MetarangeID != want {
		t.Errorf("metarange %s, want %s, that of a single reader", head.MetarangeID, want)
	}
	if got := f.entries(); !slices.Equal(got, entries) {
		t.Errorf("the branch has %d entries, and not the %d of the source", len(got), len(entries))
	}
	if r.Objects != int64(len(entries)) || head.Committer != "me" || head.Message != "m" || len(log) != 2 || head.Generation != log[1].Generation+1 {
		t.Errorf("record %+v, commit %+v", r, head)
	}
	if want := map[string]string{"k": "v", ".lakefs.merge.strategy": "source-wins"}; !maps.Equal(head.Metadata, want) {
		t.Errorf("metadata %v, want %v", head.Metadata, want)
	}
}

func TestAnImportReplacesItsDestination(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("in/a", "in/b", "in/sub/c", "pre1/x", "pre2/y", "one")
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(2)
	old := func(keys ...string) []entry.Entry {
		var all []entry.Entry
		for _, k := range keys {
			all = append(all, entry.Entry{Key: k, Address: "s3://old/" + k})
		}
		return all
	}
	prefix := func(uri, destination string) imports.Path {
		return imports.Path{Type: imports.CommonPrefix, URI: "s3://bucket/" + uri, Destination: destination}
	}
	object := func(uri, destination string) imports.Path {
		return imports.Path{Type: imports.Object, URI: "s3://bucket/" + uri, Destination: destination}
	}
	for _, tc := range []struct {
		name   string
		before []string
		paths  []imports.Path
		want   map[string]string // key to address, of all that is on the branch
	}{
		{
			"a directory",
			[]string{"data", "data!", "data/old", "data/old/z", "data0", "data2/x"},
			[]imports.Path{prefix("in/", "data")},
			map[string]string{
				"data": "old/data", "data!": "old/data!", "data0": "old/data0", "data2/x": "old/data2/x",
				"data/a": "bucket/in/a", "data/b": "bucket/in/b", "data/sub/c": "bucket/in/sub/c",
			},
		},
		{"the root", []string{"a", "z"}, []imports.Path{prefix("in/", "")}, map[string]string{"a": "bucket/in/a", "b": "bucket/in/b", "sub/c": "bucket/in/sub/c"}},
		{"part of a name", []string{"d/z"}, []imports.Path{prefix("pre", "d/")}, map[string]string{"d/pre1/x": "bucket/pre1/x", "d/pre2/y": "bucket/pre2/y"}},
		{"an object", []string{"o", "o/x", "p"}, []imports.Path{object("one", "o")}, map[string]string{"o": "bucket/one", "o/x": "old/o/x", "p": "old/p"}},
		{
			"an empty source",
			[]string{"data/old", "data2/x"},
			[]imports.Path{prefix("nothing/", "data/")},
			map[string]string{"data2/x": "old/data2/x"},
		},
		{"an empty source at the root", []string{"a", "z"}, []imports.Path{prefix("nothing/", "")}, nil},
		{"nothing", []string{"a"}, nil, map[string]string{"a": "old/a"}},
		{
			"the later path wins", nil,
			[]imports.Path{prefix("pre1/", "d"), prefix("in/", "d"), object("one", "d/a"), object("pre2/y", "d/x"), prefix("pre1/", "d/")},
			map[string]string{"d/a": "bucket/one", "d/b": "bucket/in/b", "d/sub/c": "bucket/in/sub/c", "d/x": "bucket/pre1/x"},
		},
		{
			"the later path wins, the other way",
			[]string{"d/old", "e"},
			[]imports.Path{object("one", "d/a"), prefix("in/", "d"), object("one", "e")},
			map[string]string{"d/a": "bucket/in/a", "d/b": "bucket/in/b", "d/sub/c": "bucket/in/sub/c", "e": "bucket/one"},
		},
	} {
		f.commit(old(tc.before...)...)
		r := request("", "")
		r.Request.Message, r.Paths, r.Request.AllowEmpty = tc.name, tc.paths, true
		record := f.do(s, r)
		got := map[string]string{}
		entries := f.entries()
		for _, e := range entries {
			got[e.Key] = e.Address[len("s3://"):]
		}
		if !maps.Equal(got, tc.want) {
			t.Errorf("%s:\n got %v\nwant %v", tc.name, got, tc.want)
		}
		imported := 0
		for _, address := range tc.want {
			if address[:3] != "old" {
				imported++
			}
		}
		if record.Objects != int64(imported) {
			t.Errorf("%s: %d objects, want %d", tc.name, record.Objects, imported)
		}
		if want := metarangeOf(t, entries, small); f.log()[0].MetarangeID != want {
			t.Errorf("%s: metarange %s is not canonical: %s", tc.name, f.log()[0].MetarangeID, want)
		}
	}
}

// TestRangesByHandGiveTheSameMetarange makes the ranges of an import one by one, and then
// their metarange.
func TestRangesByHandGiveTheSameMetarange(t *testing.T) {
	t.Parallel()
	rng := seeded.Rand(t)
	source := &memstore.Store{}
	for _, e := range entrytest.Random(rng, 300) {
		source.Add("src/" + e.Key)
	}
	source.PageSize = 70
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(2)
	r := f.do(s, request("src/", "to/here"))
	var ranges []partition.RangeMetadata
	in := Ingest{FromSourceURI: "s3://bucket/src/", Prepend: "to/here"}
	for more := true; more; {
		out, err := s.IngestRange(t.Context(), "repo", in)
		expect.NoError(t, err)
		if out.Range != nil {
			ranges = append(ranges, *out.Range)
			if want := "src/" + out.Range.MaxKey[len("to/here/"):]; out.LastKey != want {
				t.Fatalf("last key %q of the range %+v, want %q", out.LastKey, out.Range, want)
			}
		}
		more, in.After = out.HasMore, out.LastKey
	}
	id, err := s.CreateMetarange(t.Context(), "repo", ranges)
	expect.NoError(t, err)
	if id != r.Attempt.MetarangeID {
		t.Errorf("metarange of %d ranges made by hand: %s, want %s", len(ranges), id, r.Attempt.MetarangeID)
	}
	if data, err := f.files().Get(t.Context(), id); err != nil || len(data) == 0 {
		t.Errorf("stored metarange: %d bytes, %v", len(data), err)
	}
	for _, after := range []string{"src/" + strings.Repeat("\U0010ffff", 8), "src0"} { // behind all keys, and behind the prefix
		in.After = after
		if out, err := s.IngestRange(t.Context(), "repo", in); err != nil || out.Range != nil || out.HasMore {
			t.Errorf("after %q: %+v, %v", after, out, err)
		}
	}
	entries := f.entries()
	if len(entries) != 300 {
		t.Errorf("%d entries", len(entries))
	}
	tree, err := s.Tree(t.Context(), "repo", "main")
	expect.NoError(t, err)
	if e, err := tree.Stat(t.Context(), entries[17].Key); err != nil || e != entries[17] {
		t.Errorf("Stat = %+v, %v", e, err)
	}
}

func TestRangesByHandAreRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	t.Cleanup(s.close)
	for want, in := range map[string]Ingest{
		`fromSourceURI: invalid import source: "x" has no scheme`: {FromSourceURI: "x"},
		"fromSourceURI: invalid import source":                    {FromSourceURI: "s3://repo/"},
		`prepend: "../x" leaves the branch`:                       {FromSourceURI: "s3://bucket/", Prepend: "../x"},
		"prepend: 1025 bytes, at most 1024":                       {FromSourceURI: "s3://bucket/", Prepend: strings.Repeat("p", limits.Key+1)},
		"after: 4097 bytes, at most 4096":                         {FromSourceURI: "s3://bucket/", After: strings.Repeat("a", limits.URI+1)},
	} {
		if _, err := s.IngestRange(t.Context(), "repo", in); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	one := partition.RangeMetadata{ID: fmt.Sprintf("%064d", 1), MinKey: "a", MaxKey: strings.Repeat("k", limits.Key), Count: 1}
	long := one
	long.MaxKey += "k"
	before := partition.RangeMetadata{ID: fmt.Sprintf("%064d", 2), MinKey: "A", MaxKey: "B", Count: 1}
	for want, ranges := range map[string][]partition.RangeMetadata{
		"invalid range: ranges: ":                             {one, before}, // out of order
		`ranges[0].id: "0000`:                                 {one},         // not there
		"ranges[0]: a key of more than 1024 bytes":            {long},
		"ranges: 100001 elements, at most 100000 are allowed": make([]partition.RangeMetadata, limits.Ranges+1),
	} {
		if _, err := s.CreateMetarange(t.Context(), "repo", ranges); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for name, err := range map[string]error{
		"IngestRange into an unknown repository":   func() error { _, err := s.IngestRange(t.Context(), "unknown", Ingest{}); return err }(),
		"CreateMetarange in an unknown repository": func() error { _, err := s.CreateMetarange(t.Context(), "unknown", nil); return err }(),
		"Tree of an unknown repository":            func() error { _, err := s.Tree(t.Context(), "unknown", "main"); return err }(),
		"Tree of an unknown branch":                func() error { _, err := s.Tree(t.Context(), "repo", "unknown"); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
