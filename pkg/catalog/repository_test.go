package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestRepositoryStartsWithOneCommit(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		c.records.now = func() time.Time { return time.Unix(1700000000, 5) }
		r := create(t, c, "repo")
		if r.StorageNamespace != "s3://bucket/repo" || !r.Created.Equal(time.Unix(1700000000, 0)) {
			t.Errorf("created %+v", r)
		}
		got, err := c.Repository(ctx, "repo")
		if err != nil || fmt.Sprint(got) != fmt.Sprint(r) {
			t.Errorf("Repository = %+v, %v, want %+v", got, err, r)
		}
		b, err := c.Branch(ctx, "repo", "main")
		if err != nil {
			t.Fatal(err)
		}
		page, err := c.Log(ctx, "repo", LogQuery{Ref: "main", Amount: 10})
		if err != nil || page.Next != "" || len(page.Commits) != 1 {
			t.Fatalf("Log = %+v, %v", page, err)
		}
		first := page.Commits[0]
		if first.ID != b.CommitID || first.Message != "Repository created" || first.Generation != 1 || first.MetarangeID != "" || first.Parents != nil {
			t.Errorf("first commit %+v", first)
		}
	})
}

func TestRepositoryIsChecked(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		good := Repository{ID: "repo", StorageNamespace: "s3://bucket/x", DefaultBranch: "main"}
		for _, tc := range []struct {
			field string
			spoil func(*Repository)
		}{
			{"name", func(r *Repository) { r.ID = "ab" }},
			{"name", func(r *Repository) { r.ID = "-abc" }},
			{"name", func(r *Repository) { r.ID = "Abc" }},
			{"name", func(r *Repository) { r.ID = "a.bc" }},
			{"name", func(r *Repository) { r.ID = strings.Repeat("a", 64) }},
			{"default_branch", func(r *Repository) { r.DefaultBranch = "" }},
			{"default_branch", func(r *Repository) { r.DefaultBranch = "-x" }},
			{"default_branch", func(r *Repository) { r.DefaultBranch = "a/b" }},
			{"storage_namespace", func(r *Repository) { r.StorageNamespace = "" }},
			{"storage_namespace", func(r *Repository) { r.StorageNamespace = "gs://bucket/x" }},
			{"storage_namespace", func(r *Repository) { r.StorageNamespace = "local://x" }},
		} {
			r := good
			tc.spoil(&r)
			_, err := c.CreateRepository(t.Context(), r)
			wantFault(t, fmt.Sprintf("%+v", r), err, fault.Invalid, tc.field)
			wantFault(t, fmt.Sprintf("look at %+v", r), c.CheckRepository(t.Context(), r), fault.Invalid, tc.field)
		}
		if err := c.CheckRepository(t.Context(), good); err != nil {
			t.Errorf("a valid repository is refused: %v", err)
		}
		if keys, err := c.records.bucket.Keys(t.Context(), ""); err != nil || len(keys) > 0 {
			t.Errorf("before anything was created there are %q, %v", keys, err)
		}
		if page, _, err := c.Repositories(t.Context(), RepositoryQuery{Amount: 10}); err != nil || len(page) != 0 {
			t.Errorf("Repositories = %+v, %v", page, err)
		}
		if _, err := c.CreateRepository(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		_, err := c.CreateRepository(t.Context(), good)
		wantFault(t, "again", err, fault.Conflict, "exists already")
		wantFault(t, "look again", c.CheckRepository(t.Context(), good), fault.Conflict, "exists already")
	})
}

func TestNamespacesMayNotOverlap(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		for i, tc := range []struct {
			namespace string
			free      bool
		}{
			{"s3://b/x/y", true},
			{"s3://b/x/y", false},
			{"s3://b/x/y/", false},
			{"s3://b/x/y//", false},
			{"s3://b/x/y/z", false},
			{"s3://b/x", false},
			{"s3://b", false},
			{"s3://b/", false},
			{"s3://t:b/x/y", false},
			{"s3://b/x/y2", true},
			{"s3://b/x/", false},
			{"s3://b2/x/y", true},
			{"local:///x/y", true},
			{"local:///x/y/z/", false},
			{"local:///", false},
			{"local:///x/yz", true},
		} {
			r := Repository{ID: fmt.Sprint("repo", i), StorageNamespace: tc.namespace, DefaultBranch: "main"}
			checked := c.CheckRepository(t.Context(), r)
			_, err := c.CreateRepository(t.Context(), r)
			if tc.free && (checked != nil || err != nil) {
				t.Errorf("%s: %v, %v", tc.namespace, checked, err)
			}
			if !tc.free {
				wantFault(t, "look at "+tc.namespace, checked, fault.Invalid, "storage_namespace")
				wantFault(t, tc.namespace, err, fault.Invalid, "storage_namespace")
				if text := fmt.Sprint(checked, err); strings.Contains(text, `"repo`) {
					t.Errorf("%s: it names a repository that the caller may not see: %s", tc.namespace, text)
				}
			}
		}
	})
}

func TestConcurrentCreatesNeverOverlap(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := c.CreateRepository(t.Context(), Repository{ID: fmt.Sprint("repo", i), StorageNamespace: "s3://b/x" + strings.Repeat("/y", i%3), DefaultBranch: "main"})
				if err != nil && !fault.Is(err, fault.Invalid) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		page, _, err := c.Repositories(t.Context(), RepositoryQuery{Amount: 10})
		if err != nil || len(page) > 1 {
			t.Errorf("Repositories = %+v, %v, want one at most", page, err)
		}
	})
}

// failing lets a number of writes through and fails the rest, as if the process died between
// two of them.
type failing struct {
	kv.Bucket
	left int
}

var errDied = errors.New("the process died")

func (f *failing) write() error {
	if f.left--; f.left < 0 {
		return errDied
	}
	return nil
}

func (f *failing) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.Bucket.Create(ctx, key, value)
}

func (f *failing) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.Bucket.Update(ctx, key, value, revision)
}

func (f *failing) Purge(ctx context.Context, prefix string) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Bucket.Purge(ctx, prefix)
}

func (f *failing) Delete(ctx context.Context, key string, revision uint64) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.Bucket.Delete(ctx, key, revision)
}

func TestHalfCreatedRepositoryCanBeCreatedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		now := time.Now()
		c.records.now = func() time.Time { return now }
		steps := 0
		for {
			id, namespace := fmt.Sprint("repo", steps), fmt.Sprint("s3://bucket/n", steps)
			dying := New(&failing{Bucket: c.records.bucket, left: steps})
			dying.records.now = c.records.now
			_, err := dying.CreateRepository(ctx, Repository{ID: id, StorageNamespace: namespace, DefaultBranch: "first"})
			if err == nil {
				break
			}
			if !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			if _, err := c.Repository(ctx, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("step %d: half-created repository: %v, want NotFound", steps, err)
			}
			if _, err := c.Branch(ctx, id, "first"); !fault.Is(err, fault.NotFound) {
				t.Errorf("step %d: branch of a half-created repository: %v, want NotFound", steps, err)
			}
			if steps > 0 { // its namespace is reserved for a while, but not for ever
				other := Repository{ID: id + "-other", StorageNamespace: namespace, DefaultBranch: "main"}
				_, err = c.CreateRepository(ctx, other)
				wantFault(t, "another in its namespace", err, fault.Invalid, "storage_namespace")
				if steps%2 == 0 {
					now = now.Add(reservation + time.Second)
					if _, err := c.CreateRepository(ctx, other); err != nil {
						t.Errorf("step %d: another in its namespace after a while: %v", steps, err)
					}
					namespace += "x"
				}
			}
			again := Repository{ID: id, StorageNamespace: namespace, DefaultBranch: "second"}
			if _, err := c.CreateRepository(ctx, again); err != nil {
				t.Fatalf("step %d: again: %v", steps, err)
			}
			branches, _, err := c.Branches().List(ctx, id, "", "", 10)
			if err != nil || len(branches) != 1 || branches[0].Name != "second" {
				t.Errorf("step %d: branches %+v, %v", steps, branches, err)
			}
			steps++
		}
		if steps < 3 {
			t.Errorf("died at %d steps only", steps)
		}
	})
}

func TestSetMetadataAddsAndReplaces(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := c.SetMetadata(ctx, "repo", map[string]string{fmt.Sprint(i): "x", "last": "y"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := c.SetMetadata(ctx, "repo", map[string]string{"last": "z"}); err != nil {
			t.Fatal(err)
		}
		r, err := c.Repository(ctx, "repo")
		if err != nil || len(r.Metadata) != 9 || r.Metadata["last"] != "z" || r.Metadata["3"] != "x" {
			t.Errorf("metadata %v, %v", r.Metadata, err)
		}
	})
}

// pausing pauses before its nth call for a branch.
type pausing struct {
	kv.Bucket
	left  int
	pause func()
}

func (p *pausing) step(key string) {
	if strings.HasPrefix(key, "b.") {
		if p.left--; p.left == 0 {
			p.pause()
		}
	}
}

func (p *pausing) Keys(ctx context.Context, prefix string) ([]string, error) {
	p.step(prefix)
	return p.Bucket.Keys(ctx, prefix)
}

func (p *pausing) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	p.step(key)
	return p.Bucket.Get(ctx, key)
}

func (p *pausing) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	p.step(key)
	return p.Bucket.Create(ctx, key, value)
}

func (p *pausing) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	p.step(key)
	return p.Bucket.Update(ctx, key, value, revision)
}

func (p *pausing) Delete(ctx context.Context, key string, revision uint64) error {
	p.step(key)
	return p.Bucket.Delete(ctx, key, revision)
}

// TestASlowCreateLeavesTheBranchAlone pauses one call, with the same default branch or
// another, at each of its steps for a branch, while a second call creates the repository and
// something is committed. A third call, which died earlier, left a branch of either name.
func TestASlowCreateLeavesTheBranchAlone(t *testing.T) {
	for _, left := range []string{"", "main", "other"} {
		for _, wanted := range []string{"main", "other"} {
			for step := 1; outrun(t, left, wanted, step); step++ {
			}
		}
	}
}

// outrun pauses a call with the wanted default branch before a step, and reports whether the
// call has that many steps.
func outrun(t *testing.T, left, wanted string, step int) (paused bool) {
	t.Helper()
	what := fmt.Sprintf("left %q, wanted %q, step %d", left, wanted, step)
	bucket, ctx := new(kvtest.Memory), t.Context()
	repository := Repository{ID: "repo", StorageNamespace: "s3://bucket/n", DefaultBranch: "main"}
	fast := New(bucket)
	if left != "" {
		if _, err := bucket.Create(ctx, branchKey("repo", left), []byte("old")); err != nil {
			t.Fatal(err)
		}
	}
	var committed Commit
	slow := New(&pausing{bucket, step, func() {
		paused = true
		if _, err := fast.CreateRepository(ctx, repository); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		committed = commitOn(t, fast, "main", "an import")
	}})
	_, err := slow.CreateRepository(ctx, Repository{ID: "repo", StorageNamespace: "s3://bucket/n", DefaultBranch: wanted})
	if !paused {
		return false
	}
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("%s: the slow call: %v, want a conflict", what, err)
	}
	branches, _, err := fast.Branches().List(ctx, "repo", "", "", 10)
	if err != nil || len(branches) != 1 || branches[0].Name != "main" || branches[0].CommitID != committed.ID {
		t.Errorf("%s: branches %+v, %v, want main at %.8s alone", what, branches, err, committed.ID)
	}
	return true
}

// lateConflict is a bucket that stores a repository as ready, and returns a conflict, as if
// the answer was lost and the record changed since.
type lateConflict struct{ kv.Bucket }

func (l lateConflict) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	rev, err := l.Bucket.Update(ctx, key, value, revision)
	if err == nil && bytes.Contains(value, []byte(`"ready":true`)) {
		return 0, kv.ErrConflict
	}
	return rev, err
}

func TestCreateSucceedsIfItsLastWriteDid(t *testing.T) {
	bucket, ctx := new(kvtest.Memory), t.Context()
	_, err := New(lateConflict{bucket}).CreateRepository(ctx, Repository{ID: "repo", StorageNamespace: "s3://bucket/n", DefaultBranch: "main"})
	if err != nil {
		t.Error(err)
	}
	if _, err := New(bucket).Branch(ctx, "repo", "main"); err != nil {
		t.Error(err)
	}
}

// unready is a bucket whose server has only seen the reservation of a repository.
type unready struct{ kv.Bucket }

func (u unready) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, rev, err := u.Bucket.Get(ctx, key)
	return bytes.Replace(value, []byte(`"ready":true`), []byte(`"ready":false`), 1), rev, err
}

func TestARepositoryThatIsReadyIsFound(t *testing.T) {
	bucket, ctx := new(kvtest.Memory), t.Context()
	if _, err := New(bucket).CreateRepository(ctx, Repository{ID: "repo", StorageNamespace: "s3://bucket/n", DefaultBranch: "main"}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(unready{bucket}).Branch(ctx, "repo", "main"); err != nil {
		t.Error(err)
	}
}
