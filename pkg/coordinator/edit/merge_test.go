package edit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// branch makes a branch at the head of main.
func (f *fixture) branch(name string) {
	f.t.Helper()
	_, err := f.catalog.Branches().Create(f.t.Context(), "repo", name, "main")
	expect.NoError(f.t, err)
}

func TestMerges(t *testing.T) {
	for _, tc := range []struct {
		name    string
		make    func(f *fixture) // of the branches main and dev, after a commit of "a"
		merge   Merge
		tree    string // keys of the merge
		refused string
	}{
		{"the source is ahead", func(f *fixture) { f.commit("dev", "b") }, Merge{}, "b", ""},
		{"it is ahead by two", func(f *fixture) { f.commit("dev", "b"); f.commit("dev", "b", "c") }, Merge{}, "b c", ""},
		{"squashed", func(f *fixture) { f.commit("dev", "b"); f.commit("dev", "c") }, Merge{Squash: true}, "c", ""},
		{"texts", func(f *fixture) { f.commit("dev", "b") }, Merge{Message: "m", Metadata: map[string]string{"k": "v"}, Strategy: "source-wins"}, "b", ""},
		{"the same", func(*fixture) {}, Merge{}, "", "no changes"},
		{"the same, allowed", func(*fixture) {}, Merge{AllowEmpty: true}, "a", ""},
		{"the branch is ahead", func(f *fixture) { f.commit("main", "b") }, Merge{}, "", "no changes"},
		{"the branch is ahead, allowed", func(f *fixture) { f.commit("main", "b") }, Merge{AllowEmpty: true}, "b", ""},
		{"the branch was changed and put back", func(f *fixture) { f.commit("main", "b"); f.commit("main", "a"); f.commit("dev", "c") }, Merge{}, "c", ""},
		{"the source was changed and put back", func(f *fixture) { f.commit("main", "b"); f.commit("dev", "c"); f.commit("dev", "a") }, Merge{}, "", "no changes"},
		{"both have the same change", func(f *fixture) { f.commit("main", "b"); f.commit("dev", "c"); f.commit("dev", "b") }, Merge{}, "b", ""},
		{"diverged", func(f *fixture) { f.commit("main", "a", "b"); f.commit("dev", "a", "c") }, Merge{}, "", "three-way merges are not supported"},
		{"diverged, allowed to be empty", func(f *fixture) { f.commit("main", "a", "b"); f.commit("dev", "a", "c") }, Merge{Strategy: "dest-wins", AllowEmpty: true}, "", "conflict found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, new(kvtest.Memory))
			f.commit("main", "a")
			f.branch("dev")
			tc.make(f)
			head, source := f.head("main"), f.head("dev")
			m := tc.merge
			m.Repository, m.Source, m.Destination, m.Committer = "repo", "dev", "main", "me"
			made, err := f.Merge(t.Context(), m)
			if tc.refused != "" {
				kind := fault.Conflict
				if tc.refused == "no changes" {
					kind = fault.Invalid
				}
				if !fault.Is(err, kind) || !strings.Contains(err.Error(), tc.refused) || f.head("main").ID != head.ID {
					t.Errorf("%v, want a fault of kind %d with %q", err, kind, tc.refused)
				}
				return
			}
			expect.NoError(t, err)
			checkMerge(t, f, m, made, head, source)
			if made.MetarangeID != f.tree(strings.Fields(tc.tree)...) {
				t.Errorf("the tree is not that of %s", tc.tree)
			}
		})
	}
}

// checkMerge checks all of a merge but its tree.
func checkMerge(t *testing.T, f *fixture, m Merge, made, head, source catalog.Commit) {
	t.Helper()
	parents, message, strategy := []string{head.ID, source.ID}, "Merge 'dev' into 'main'", "default"
	if m.Squash {
		parents = parents[:1]
	}
	if m.Message != "" {
		message, strategy = m.Message, m.Strategy
	}
	if f.head("main").ID != made.ID || f.head("dev").ID != source.ID || !slices.Equal(made.Parents, parents) ||
		made.Generation != max(head.Generation, source.Generation)+1 || made.Message != message || made.Committer != "me" ||
		!made.Created.Equal(now) || made.Metadata[strategyKey] != strategy || made.Metadata["k"] != m.Metadata["k"] {
		t.Errorf("merged %+v", made)
	}
	if _, changed := m.Metadata[strategyKey]; changed {
		t.Error("the metadata of the request has changed")
	}
}

// What was merged is not merged again. Without squash, later merges begin there.
func TestMergesInTurn(t *testing.T) {
	f := newFixture(t, new(kvtest.Memory))
	f.commit("main", "a")
	f.branch("dev")
	merge := Merge{Repository: "repo", Source: "dev", Destination: "main"}
	for i := range 3 {
		f.commit("dev", "a", fmt.Sprint("b", i))
		made, err := f.Merge(t.Context(), merge)
		expect.NoError(t, err)
		if _, err := f.Merge(t.Context(), merge); err == nil || err.Error() != "no changes" {
			t.Errorf("again: %v", err)
		}
		b, err := f.MergeBase(t.Context(), "repo", "dev", "main")
		if err != nil || b.Source.ID != f.head("dev").ID || b.Destination.ID != made.ID || b.Base.ID != b.Source.ID {
			t.Errorf("base %+v, %v", b, err)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	f := newFixture(t, new(kvtest.Memory))
	for want, m := range map[string]Merge{
		`strategy: unknown value "none"`: {Strategy: "none"},
		"message: 16385 bytes":           {Message: strings.Repeat("m", limits.Message+1)},
		"repository not found":           {Repository: "none"},
		"branch not found":               {Destination: "dev"},
		`ref "dev" not found`:            {Source: "dev"},
	} {
		if m.Repository == "" {
			m.Repository = "repo"
		}
		if m.Destination == "" {
			m.Destination = "main"
		}
		if m.Source == "" {
			m.Source = "main"
		}
		if _, err := f.Merge(t.Context(), m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := f.MergeBase(t.Context(), "repo", "main", "dev"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the base of a ref that is not there: %v", err)
	}
}
