package coordinator

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/memstore"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

func TestNamespacesAreKeptForAMoment(t *testing.T) {
	now, lists, fails := time.Unix(0, 0), 0, errors.New("no answer")
	all := []catalog.Repository{{ID: "a", StorageNamespace: "s3://a", Metadata: map[string]string{"k": "v"}}}
	n := &namespaces{now: func() time.Time { return now }, list: func(context.Context) ([]catalog.Repository, error) { lists++; return all, fails }}
	if _, err := n.recent(t.Context()); !errors.Is(err, fails) {
		t.Errorf("an error: %v", err)
	}
	fails, lists = nil, 0
	want := func(what string, wantLists int, get func(context.Context) ([]catalog.Repository, error)) {
		t.Helper()
		got, err := get(t.Context())
		if err != nil || lists != wantLists || len(got) != len(all) {
			t.Errorf("%s: %d repositories, %v, listed %d times, want %d", what, len(got), err, lists, wantLists)
		}
	}
	want("the first time", 1, n.recent)
	want("at once", 1, n.recent)
	now = now.Add(keepNamespaces - 1)
	want("just in time", 1, n.recent)
	now = now.Add(1)
	want("later", 2, n.recent)
	want("fresh", 3, n.fresh)
	now = now.Add(keepNamespaces - 1)
	want("after a fresh one", 3, n.recent)
	if n.kept[0].Metadata != nil {
		t.Error("metadata is kept")
	}
	all, now = slices.Repeat(all, maxKeptNamespaces+1), now.Add(1)
	want("too many", 4, n.recent)
	want("too many, again", 5, n.recent)
}

// counting counts the repositories that are listed.
type counting struct {
	home
	lists int
}

func (c *counting) repositories(ctx context.Context) ([]catalog.Repository, error) {
	c.lists++
	return c.home.repositories(ctx)
}

// Reading objects lists the repositories once. A repository that is deleted or created is
// noticed: the one at once, where it had kept an object from being read, the other soon.
func TestContentListsRepositoriesRarely(t *testing.T) {
	t.Parallel()
	f := newFleet(t, &memstore.Store{})
	f.repository("other", "s3://bucket/ns")
	s := f.service()
	t.Cleanup(s.close)
	now := time.Now()
	c := &counting{home: s.validate.home}
	s.validate.known = &namespaces{list: c.repositories, now: func() time.Time { return now }}
	read := func(address string) error {
		_, err := s.Content(t.Context(), "repo", entry.Entry{Key: "k", Address: address})
		return err
	}
	for range 10 {
		expect.NoError(t, read("s3://bucket/o"))
		expect.NoError(t, read("s3://repo/ns/data/o"))
	}
	if c.lists != 1 {
		t.Errorf("repositories were listed %d times", c.lists)
	}
	if err := read("s3://bucket/ns/o"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("in another namespace: %v", err)
	}
	expect.NoError(t, s.DeleteRepository(t.Context(), "other"))
	if err := read("s3://bucket/ns/o"); err != nil {
		t.Errorf("in what was a namespace: %v", err)
	}
	f.repository("new", "s3://bucket/new")
	now = now.Add(keepNamespaces)
	if err := read("s3://bucket/new/o"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("in a new namespace: %v", err)
	}
}
