package coordinator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// entriesOf returns an entry for each key, which is followed by an ETag.
func entriesOf(texts ...string) (all []entry.Entry) {
	for _, text := range texts {
		key, etag, _ := strings.Cut(text, " ")
		all = append(all, entry.Entry{Key: key, Address: "s3://others/" + key, ETag: etag})
	}
	return all
}

// diffed returns the differences of two refs in short.
func diffed(t *testing.T, s *Service, left, right string, threeDot bool) string {
	t.Helper()
	d, err := DifferOf(s).Diff(t.Context(), "repo", left, right, threeDot)
	expect.NoError(t, err)
	page, _, err := d.List(t.Context(), metarange.DiffQuery{Amount: 100})
	expect.NoError(t, err)
	signs := map[metarange.Change]string{metarange.KeyAdded: "+", metarange.KeyRemoved: "-", metarange.KeyChanged: "~", metarange.KeyConflict: "!"}
	var all []string
	for _, d := range page {
		all = append(all, signs[d.Change]+d.Entry.Key)
	}
	return strings.Join(all, " ")
}

func TestRefsAreDiffed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	base := f.commit(entriesOf("a 1", "b 1", "c 1", "d 1")...)
	_, err := f.catalog.Branches().Create(t.Context(), "repo", "side", "main")
	expect.NoError(t, err)
	f.commit(entriesOf("a 2", "b 1", "c 2", "d 1", "e 1")...)
	main, err := f.catalog.Branch(t.Context(), "repo", "main")
	expect.NoError(t, err)
	expect.NoError(t, s.ResetBranch(t.Context(), "admin", "repo", "main", base.ID))
	side := f.commit(entriesOf("b 2", "c 3", "d 1", "f 1")...)
	for _, x := range []struct {
		left, right string
		threeDot    bool
		want        string
	}{
		{main.CommitID, side.ID, false, "-a ~b ~c -e +f"},
		{main.CommitID, side.ID, true, "!a ~b !c +f"},
		{side.ID, main.CommitID, true, "!a !c +e"},
		{base.ID, side.ID, true, "-a ~b ~c +f"},
		{side.ID, base.ID, true, ""},
		{side.ID, base.ID, false, "+a ~b ~c -f"},
		{"main~2", base.ID, true, "+a +b +c +d"},
		{"main", "main", true, ""},
	} {
		if got := diffed(t, s, x.left, x.right, x.threeDot); got != x.want {
			t.Errorf("%s, %s, three dots %t: %q, want %q", x.left, x.right, x.threeDot, got, x.want)
		}
	}
	for _, refs := range [][2]string{{"none", "main"}, {"main", "none"}} {
		_, err := DifferOf(s).Diff(t.Context(), "repo", refs[0], refs[1], true)
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("diff of %q: %v, want NotFound", refs, err)
		}
	}
}

func TestLogOfPaths(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	s := f.service()
	f.commit(entriesOf("a/x 1", "b 1")...)
	f.commit(entriesOf("a/x 1", "a/y 1", "b 1")...)
	f.commit(entriesOf("a/x 1", "a/y 1", "b 2")...)
	f.commit(entriesOf("a/x 1", "a/y 1", "b 2")...)
	f.commit(entriesOf("a/x 1", "b 2", "bb 1")...)
	names := map[string]string{}
	for i, c := range f.log() {
		names[c.ID] = fmt.Sprint(i)
	}
	for _, x := range []struct {
		paths Paths
		want  string
	}{
		{Paths{Objects: []string{"a/x"}}, "4"},
		{Paths{Objects: []string{"b"}}, "2 4"},
		{Paths{Objects: []string{"a/"}}, ""},
		{Paths{Prefixes: []string{"a/"}}, "0 3 4"},
		{Paths{Prefixes: []string{"b"}}, "0 2 4"},
		{Paths{Prefixes: []string{"c", "a/y"}, Objects: []string{"none", "b"}}, "0 2 3 4"},
		{Paths{Prefixes: []string{"none"}}, ""},
	} {
		keep, err := DifferOf(s).Touching(t.Context(), "repo", x.paths)
		expect.NoError(t, err)
		page, err := f.catalog.Log(t.Context(), "repo", catalog.LogQuery{Ref: "main", Amount: 100, Keep: keep})
		expect.NoError(t, err)
		var got []string
		for _, c := range page.Commits {
			got = append(got, names[c.ID])
		}
		if strings.Join(got, " ") != x.want {
			t.Errorf("%+v: commits %q, want %q", x.paths, got, x.want)
		}
	}
	_, err := DifferOf(s).Touching(t.Context(), "none", Paths{})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("in no repository: %v, want NotFound", err)
	}
}
