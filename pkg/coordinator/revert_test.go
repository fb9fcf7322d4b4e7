package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

func revert(ref string) Revert {
	return Revert{Repository: "repo", Branch: "main", Ref: ref, Committer: "admin"}
}

// TestRevertUndoesOneImport imports three sources, and reverts the imports in turn.
func TestRevertUndoesOneImport(t *testing.T) {
	t.Parallel()
	source, entries := numbered(2000)
	source.Add("other/a", "other/b", "third/c")
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(2)
	f.do(s, request("other/", "other"))
	small := f.log()[0]
	f.do(s, request("dir/", "dir")) // 2000 keys
	large := f.log()[0]
	f.do(s, request("third/", "third"))
	last := f.log()[0]

	commit, err := s.Revert(t.Context(), revert(large.ID))
	expect.NoError(t, err)
	if got := f.keys(); !slices.Equal(got, []string{"other/a", "other/b", "third/c"}) {
		t.Errorf("without the large import the branch holds %d keys: %.5q", len(got), got)
	}
	head := f.log()[0]
	if head.ID != commit.ID || head.Message != "Revert "+large.ID || head.Committer != "admin" ||
		!slices.Equal(head.Parents, []string{last.ID}) || head.Generation != last.Generation+1 {
		t.Errorf("the commit is %+v", head)
	}
	if want := metarangeOf(t, f.entries(), f.config.Breaks); head.MetarangeID != want {
		t.Errorf("the tree is %s, which is not canonical: %s", head.MetarangeID, want)
	}
	again := revert(commit.ID)
	again.Message, again.Metadata = "back", map[string]string{"k": "v"}
	_, err = s.Revert(t.Context(), again)
	expect.NoError(t, err)
	if head := f.log()[0]; head.MetarangeID != last.MetarangeID || head.Message != "back" || head.Metadata["k"] != "v" {
		t.Errorf("after two reverts the head is %+v", head)
	}
	_, err = s.Revert(t.Context(), revert(small.ID))
	expect.NoError(t, err)
	if got := f.keys(); len(got) != len(entries)+1 {
		t.Errorf("without the small import the branch holds %d keys", len(got))
	}
}

func TestRevertRefuses(t *testing.T) {
	t.Parallel()
	source := &memstore.Store{}
	source.Add("a/x", "a/y")
	f := newFleet(t, source)
	s, _ := f.serve()
	f.work(1)
	first := f.log()[0]
	f.do(s, request("a/", "a"))
	added := f.log()[0]
	f.commit(entry.Entry{Key: "a/x", Address: "s3://others/x"}) // changes one key, and removes the other
	changed := f.log()[0]
	merge, err := f.catalog.AddCommit(t.Context(), "repo", catalog.Commit{Message: "merge", Parents: []string{added.ID, first.ID}, Generation: 3})
	expect.NoError(t, err)
	parent := func(ref string, n int) Revert { r := revert(ref); r.Parent = n; return r }
	wordy := revert(added.ID)
	wordy.Message = strings.Repeat("m", limits.Message+1)
	elsewhere := revert(added.ID)
	elsewhere.Branch = "dev"
	for _, tc := range []struct {
		name string
		r    Revert
		kind fault.Kind
		text string
	}{
		{"a key that was changed since", revert(added.ID), fault.Conflict, `"a/x"`},
		{"the first commit", revert(first.ID), fault.Invalid, "first commit"},
		{"no commit", revert(strings.Repeat("0", 64)), fault.NotFound, "ref"},
		{"a long message", wordy, fault.Invalid, "commit_overrides.message"},
		{"no branch", elsewhere, fault.NotFound, "branch"},
		{"a merge without a parent", revert(merge.ID), fault.Invalid, "parent_number"},
		{"a parent that is not there", parent(added.ID, 2), fault.Invalid, "parent_number"},
		{"a negative parent", parent(added.ID, -1), fault.Invalid, "parent_number"},
	} {
		_, err := s.Revert(t.Context(), tc.r)
		if !fault.Is(err, tc.kind) || !strings.Contains(fmt.Sprint(err), tc.text) {
			t.Errorf("%s: %v, want a fault of kind %d with %q", tc.name, err, tc.kind, tc.text)
		}
		if f.log()[0].ID != changed.ID {
			t.Fatalf("%s: the branch has moved", tc.name)
		}
	}
	for range 2 {
		_, err = s.Revert(t.Context(), revert(changed.ID))
		if f.log()[0].ID == changed.ID {
			t.Fatalf("revert: %v", err)
		}
	}
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), "no changes") {
		t.Errorf("a commit that is reverted already: %v", err)
	}
	empty := parent(changed.ID, 1)
	empty.AllowEmpty = true
	head := f.log()[0]
	if _, err := s.Revert(t.Context(), empty); err != nil || f.log()[0].MetarangeID != head.MetarangeID || f.log()[0].ID == head.ID {
		t.Errorf("an allowed empty commit: %v", err)
	}
}

// TestRevertIsRepeatedIfTheBranchMoves moves the branch while a revert is made.
func TestRevertIsRepeatedIfTheBranchMoves(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t)
	for moves := range int64(maxReverts + 1) {
		history := new(kvtest.Memory)
		f := fleetOn(t, q, new(kvtest.Memory), history, &memstore.Store{})
		f.commit(entry.Entry{Key: "k", Address: "s3://old/x"}, entry.Entry{Key: "stays", Address: "s3://old/x"})
		two := f.commit(entry.Entry{Key: "stays", Address: "s3://old/x"})
		n := 0
		bucket := &kvtest.Interrupted{Bucket: history, Prefix: "b.", Before: func() {
			n++
			f.commit(entry.Entry{Key: fmt.Sprintf("other%d", n), Address: "s3://old/x"}, entry.Entry{Key: "stays", Address: "s3://old/x"})
		}}
		bucket.Left.Store(moves)
		s := fleetOf(f, new(kvtest.Memory), bucket).service()
		_, err := s.Revert(t.Context(), revert(two.ID))
		if moves < maxReverts {
			expect.NoError(t, err)
			if got := f.keys(); !slices.Contains(got, "k") || moves > 0 && !slices.Contains(got, fmt.Sprintf("other%d", moves)) {
				t.Errorf("after %d moves the branch holds %q", moves, got)
			}
		} else if !fault.Is(err, fault.Conflict) || slices.Contains(f.keys(), "k") {
			t.Errorf("after %d moves: %v", moves, err)
		}
	}
}
