package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func keysOf(t *testing.T, bucket kv.Bucket) []string {
	t.Helper()
	keys, err := bucket.Keys(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// wantFresh checks that a repository has only what it is created with.
func wantFresh(t *testing.T, what string, c *Catalog, id string) {
	t.Helper()
	branches, _, err := c.Branches().ListAll(t.Context(), id, "", "", 10)
	if err != nil || len(branches) != 1 || branches[0].Name != "main" {
		t.Errorf("%s: branches %+v, %v, want main alone", what, branches, err)
	}
	log, err := c.Log(t.Context(), id, LogQuery{Ref: "main", Amount: 1})
	if err != nil || log.Next != "" || len(log.Commits) != 1 || log.Commits[0].Message != firstMessage {
		t.Errorf("%s: log %+v, %v, want the first commit alone", what, log, err)
	}
}

func TestADeletedRepositoryLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		create(t, c, "repo-2")
		old := commitOn(t, c, "main", "old")
		if _, err := c.Branches().Create(ctx, "repo", "side", "main"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Tags().Create(ctx, "repo", "v1", "main"); err != nil {
			t.Fatal(err)
		}
		if err := c.DeleteRepository(ctx, "repo"); err != nil {
			t.Fatal(err)
		}
		if rest := keysOf(t, c.records.bucket); len(rest) != 3 || slices.ContainsFunc(rest, func(k string) bool { return !strings.Contains(k, "repo-2") }) {
			t.Errorf("after the deletion there are %q", rest)
		}
		_, err := c.Repository(ctx, "repo")
		wantFault(t, "Repository", err, fault.NotFound, "repository not found")
		_, err = c.Commit(ctx, "repo", old.ID)
		wantFault(t, "Commit", err, fault.NotFound, "repository not found")
		wantFault(t, "deleted again", c.DeleteRepository(ctx, "repo"), fault.NotFound, "repository not found")
		wantFault(t, "bad ID", c.DeleteRepository(ctx, "a.b"), fault.NotFound, "repository not found")
		other := Repository{ID: "other", StorageNamespace: "s3://bucket/repo/x", DefaultBranch: "main"}
		if _, err := c.CreateRepository(ctx, other); err != nil {
			t.Errorf("another repository in its namespace: %v", err)
		}
		wantFresh(t, "its neighbour", c, "repo-2")
	})
}

func TestADeletedRepositoryCanBeCreatedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		head, err := c.Branch(ctx, "repo", "main")
		if err != nil {
			t.Fatal(err)
		}
		old := commitOn(t, c, "main", "old")
		if err := c.DeleteRepository(ctx, "repo"); err != nil {
			t.Fatal(err)
		}
		create(t, c, "repo")
		wantFresh(t, "made anew", c, "repo")
		_, err = c.Resolve(ctx, "repo", old.ID)
		wantFault(t, "an old commit", err, fault.NotFound, old.ID)
		now, err := c.Branch(ctx, "repo", "main")
		if err != nil {
			t.Fatal(err)
		}
		head.Revision = now.Revision // as if a revision could come again
		wantFault(t, "a move of the old branch", c.MoveBranch(ctx, "repo", head, now.CommitID), fault.Conflict, "by somebody else")
	})
}

// The root of a repository created before there were incarnations is its ID.
func TestARepositoryWithoutIncarnationIsDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		r := Repository{ID: "repo", StorageNamespace: "s3://bucket/repo", DefaultBranch: "main"}
		if err := (history{c.records.bucket, r}).createDefaultBranch(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := c.records.store(ctx, repositoryRecord{r, true}, 0); err != nil {
			t.Fatal(err)
		}
		commitOn(t, c, "main", "old")
		if err := c.DeleteRepository(ctx, "repo"); err != nil {
			t.Fatal(err)
		}
		if rest := keysOf(t, c.records.bucket); len(rest) > 0 {
			t.Errorf("after the deletion there are %q", rest)
		}
		create(t, c, "repo")
		wantFresh(t, "made anew", c, "repo")
	})
}

func TestAnInterruptedDeletionIsCompleteOrHasNoEffect(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		for steps := 0; ; steps++ {
			create(t, c, "repo")
			commitOn(t, c, "main", "old")
			f := &failing{Bucket: c.records.bucket, left: steps}
			err := New(f).DeleteRepository(ctx, "repo")
			if gone := err == nil; gone != (steps > 0) {
				t.Errorf("step %d: %v", steps, err)
			}
			if steps == 0 { // it is as it was
				if log, err := c.Log(ctx, "repo", LogQuery{Ref: "main", Amount: 9}); err != nil || len(log.Commits) != 2 {
					t.Errorf("log %+v, %v", log, err)
				}
				if err := c.DeleteRepository(ctx, "repo"); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if _, err := c.Repository(ctx, "repo"); !fault.Is(err, fault.NotFound) {
				t.Errorf("step %d: %v, want NotFound", steps, err)
			}
			if steps%2 == 0 { // whoever makes it anew clears up, too
				create(t, c, "repo")
				wantFresh(t, fmt.Sprint("step ", steps), c, "repo")
				if err := c.DeleteRepository(ctx, "repo"); err != nil {
					t.Fatal(err)
				}
			} else if err := c.Sweep(ctx); err != nil {
				t.Error(err)
			}
			if rest := keysOf(t, c.records.bucket); len(rest) > 0 {
				t.Errorf("step %d: there are %q", steps, rest)
			}
			if f.left >= 0 {
				return
			}
		}
	})
}

func TestSweepKeepsExistingRepositories(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx, now := t.Context(), time.Now()
		c.records.now = func() time.Time { return now }
		create(t, c, "repo")
		dying := New(&failing{Bucket: c.records.bucket, left: 2})
		dying.records.now = c.records.now
		_, err := dying.CreateRepository(ctx, Repository{ID: "half", StorageNamespace: "s3://bucket/half", DefaultBranch: "main"})
		if !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		before := keysOf(t, c.records.bucket)
		if err := c.Sweep(ctx); err != nil || !slices.Equal(before, keysOf(t, c.records.bucket)) {
			t.Errorf("swept at once: %v, of %q are left %q", err, before, keysOf(t, c.records.bucket))
		}
		now = now.Add(reservation + 2*time.Second)
		if err := c.Sweep(ctx); err != nil {
			t.Error(err)
		}
		if rest := keysOf(t, c.records.bucket); len(rest) != 3 {
			t.Errorf("swept later: there are %q", rest)
		}
		wantFresh(t, "swept", c, "repo")
	})
}

// standing calls a function before its nth write.
type standing struct {
	kv.Bucket
	left int
	then func()
}

func (s *standing) write() {
	if s.left--; s.left == 0 {
		s.then()
	}
}

func (s *standing) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	s.write()
	return s.Bucket.Create(ctx, key, value)
}

func (s *standing) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	s.write()
	return s.Bucket.Update(ctx, key, value, revision)
}

func (s *standing) Delete(ctx context.Context, key string, revision uint64) error {
	s.write()
	return s.Bucket.Delete(ctx, key, revision)
}

func (s *standing) Purge(ctx context.Context, prefix string) error {
	s.write()
	return s.Bucket.Purge(ctx, prefix)
}

// TestSlowWritesDoNotReachANewIncarnation pauses each operation before each of its writes,
// while its repository is deleted and created again.
func TestSlowWritesDoNotReachANewIncarnation(t *testing.T) {
	for name, operation := range map[string]func(ctx context.Context, c *Catalog, head Branch) error{
		"CreateBranch": func(ctx context.Context, c *Catalog, _ Branch) error {
			_, err := c.Branches().Create(ctx, "repo", "side", "main")
			return err
		},
		"DeleteBranch": func(ctx context.Context, c *Catalog, head Branch) error {
			c.records.bucket.(*standing).left++ // the branch is made before
			side, err := c.Branches().Create(ctx, "repo", "side", "main")
			if err != nil {
				return err
			}
			if err := c.Branches().Delete(ctx, "repo", side); err != nil && !fault.Is(err, fault.Conflict) {
				return err
			}
			return nil
		},
		"AddCommit": func(ctx context.Context, c *Catalog, head Branch) error {
			_, err := c.AddCommit(ctx, "repo", Commit{Message: "slow", Parents: []string{head.CommitID}, Generation: 2})
			return err
		},
		"MoveBranch": func(ctx context.Context, c *Catalog, head Branch) error {
			if err := c.MoveBranch(ctx, "repo", head, head.CommitID); !fault.Is(err, fault.Conflict) {
				return errors.Join(errors.New("moved"), err)
			}
			return nil
		},
		"DeleteRepository": func(ctx context.Context, c *Catalog, _ Branch) error {
			return c.DeleteRepository(ctx, "repo")
		},
	} {
		for step := 1; meets(t, name, operation, step); step++ {
		}
	}
}

// meets pauses an operation before a step, and reports whether the operation has that many steps.
func meets(t *testing.T, name string, operation func(context.Context, *Catalog, Branch) error, step int) (stood bool) {
	t.Helper()
	bucket := new(kvtest.Memory)
	c := New(bucket)
	create(t, c, "repo")
	head, err := c.Branch(t.Context(), "repo", "main")
	if err != nil {
		t.Fatal(err)
	}
	slow := New(&standing{bucket, step, func() {
		stood = true
		if err := c.DeleteRepository(t.Context(), "repo"); err != nil && !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		create(t, c, "repo")
	}})
	err = operation(t.Context(), slow, head)
	if !stood {
		return false
	}
	if err != nil {
		t.Errorf("%s, step %d: %v", name, step, err)
	}
	if name == "DeleteRepository" && step == 1 { // it comes second, and deletes the new one
		_, err := c.Repository(t.Context(), "repo")
		wantFault(t, name, err, fault.NotFound, "repository not found")
		return true
	}
	wantFresh(t, fmt.Sprintf("%s, step %d", name, step), c, "repo")
	return true
}

// TestCatalogAgainstATwin creates and deletes repositories, by processes that die before any
// of their writes, and compares with a map: each call takes effect as a whole or not at all.
func TestCatalogAgainstATwin(t *testing.T) {
	random := seeded.Rand(t)
	bucket, now := new(kvtest.Memory), time.Now()
	twin := map[string]bool{}
	for range 2000 {
		now = now.Add(2 * reservation) // no reservation is in the way for long
		c := New(&failing{Bucket: bucket, left: random.IntN(8)})
		c.records.now = func() time.Time { return now }
		id := fmt.Sprint("repo", random.IntN(3))
		switch random.IntN(3) {
		case 0:
			_, err := c.CreateRepository(t.Context(), Repository{ID: id, StorageNamespace: "s3://bucket/" + id, DefaultBranch: "main"})
			wantOutcome(t, "create "+id, err, twin[id], fault.Conflict, "exists already")
			twin[id] = twin[id] || err == nil
		case 1:
			err := c.DeleteRepository(t.Context(), id)
			wantOutcome(t, "delete "+id, err, !twin[id], fault.NotFound, "not found")
			twin[id] = twin[id] && err != nil
		case 2:
			wantOutcome(t, "sweep", c.Sweep(t.Context()), false, 0, "")
		}
		for id, there := range twin {
			if there {
				wantFresh(t, id, New(bucket), id)
			} else if _, err := New(bucket).Repository(t.Context(), id); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s: %v, want NotFound", id, err)
			}
		}
	}
}

// wantOutcome checks the error of a call by a process that may have died: a fault if the
// call had to be refused.
func wantOutcome(t *testing.T, call string, err error, refused bool, kind fault.Kind, text string) {
	t.Helper()
	switch {
	case refused:
		wantFault(t, call, err, kind, text)
	case err != nil && !errors.Is(err, errDied):
		t.Errorf("%s: %v", call, err)
	}
}
