package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/queue"
	"github.com/rangefleet/rangefleet/pkg/queue/queuetest"
)

// onEach runs a test on every implementation of the bucket, each time on an
// empty one.
func onEach(t *testing.T, test func(t *testing.T, c *Catalog)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, New(&queue.MemoryKV{})) })
	t.Run("jetstream", func(t *testing.T) { test(t, New(queuetest.Start(t).KV(queue.BucketCatalog))) })
}

func create(t *testing.T, c *Catalog, id string) Repository {
	t.Helper()
	r, err := c.CreateRepository(t.Context(), Repository{ID: id, StorageNamespace: "s3://bucket/" + id + "/", DefaultBranch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantFault(t *testing.T, what string, err error, kind fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%s: %v, want a fault of kind %d with %q", what, err, kind, text)
	}
}

func TestRepositoryStartsWithOneCommit(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		c.now = func() time.Time { return time.Unix(1700000000, 5) }
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
		page, more, err := c.Log(ctx, "repo", "main", "", 10)
		if err != nil || more || len(page) != 1 {
			t.Fatalf("Log = %+v, %v, %v", page, more, err)
		}
		first := page[0]
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
		}
		if page, _, err := c.Repositories(t.Context(), "", "", 10); err != nil || len(page) != 0 {
			t.Errorf("Repositories = %+v, %v", page, err)
		}
		if _, err := c.CreateRepository(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		_, err := c.CreateRepository(t.Context(), good)
		wantFault(t, "again", err, fault.Conflict, "exists already")
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
			{"s3://b/x/y2", true},
			{"s3://b/x/", false},
			{"s3://b2/x/y", true},
			{"local:///x/y", true},
			{"local:///x/y/z/", false},
			{"local:///", false},
			{"local:///x/yz", true},
		} {
			id := fmt.Sprint("repo", i)
			_, err := c.CreateRepository(t.Context(), Repository{ID: id, StorageNamespace: tc.namespace, DefaultBranch: "main"})
			if tc.free && err != nil {
				t.Errorf("%s: %v", tc.namespace, err)
			}
			if !tc.free {
				wantFault(t, tc.namespace, err, fault.Invalid, "storage_namespace")
			}
		}
	})
}

func TestOfRepositoriesMadeAtOnceNoTwoOverlap(t *testing.T) {
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
		page, _, err := c.Repositories(t.Context(), "", "", 10)
		if err != nil || len(page) > 1 {
			t.Errorf("Repositories = %+v, %v, want one at most", page, err)
		}
	})
}

// failing lets a number of writes through and refuses the rest, as a process
// that ends between two of them does.
type failing struct {
	queue.KV
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
	return f.KV.Create(ctx, key, value)
}

func (f *failing) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.KV.Update(ctx, key, value, revision)
}

func (f *failing) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.KV.Put(ctx, key, value)
}

func (f *failing) Delete(ctx context.Context, key string) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.KV.Delete(ctx, key)
}

func TestHalfCreatedRepositoryCanBeCreatedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		now := time.Now()
		c.now = func() time.Time { return now }
		steps := 0
		for {
			id, namespace := fmt.Sprint("repo", steps), fmt.Sprint("s3://bucket/n", steps)
			dying := New(&failing{KV: c.kv, left: steps})
			dying.now = c.now
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
			branches, _, err := c.Branches(ctx, id, "", "", 10)
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

func TestListsArePaged(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		for _, id := range []string{"repo", "repo-b", "other", "repo2"} {
			create(t, c, id)
		}
		for _, name := range []string{"b", "a1", "a", "A", "_", "a-1"} {
			if _, err := c.CreateBranch(ctx, "repo", name, "main"); err != nil {
				t.Fatal(err)
			}
		}
		repositories := func(prefix, after string, amount int) ([]string, bool, error) {
			page, more, err := c.Repositories(ctx, prefix, after, amount)
			return names(page, func(r Repository) string { return r.ID }), more, err
		}
		branches := func(prefix, after string, amount int) ([]string, bool, error) {
			page, more, err := c.Branches(ctx, "repo", prefix, after, amount)
			return names(page, func(b Branch) string { return b.Name }), more, err
		}
		for _, tc := range []struct {
			list          func(prefix, after string, amount int) ([]string, bool, error)
			prefix, after string
			amount        int
			want          string
			more          bool
		}{
			{repositories, "", "", 10, "other repo repo-b repo2", false},
			{repositories, "", "", 4, "other repo repo-b repo2", false},
			{repositories, "", "", 3, "other repo repo-b", true},
			{repositories, "", "repo-b", 3, "repo2", false},
			{repositories, "repo", "", 1, "repo", true},
			{repositories, "repo", "repo", 1, "repo-b", true},
			{repositories, "repo", "repo1", 1, "repo2", false},
			{repositories, "*", "", 10, "", false},
			{repositories, "repo.", "", 10, "", false},
			{branches, "", "", 100, "A _ a a-1 a1 b main", false},
			{branches, "a", "", 2, "a a-1", true},
			{branches, "a", "a-1", 2, "a1", false},
			{branches, "", "main", 2, "", false},
		} {
			got, more, err := tc.list(tc.prefix, tc.after, tc.amount)
			if err != nil || strings.Join(got, " ") != tc.want || more != tc.more {
				t.Errorf("list(%q, %q, %d) = %q, %v, %v, want %q, %v", tc.prefix, tc.after, tc.amount, got, more, err, tc.want, tc.more)
			}
		}
		for _, amount := range []int{0, -1} {
			_, _, err := repositories("", "", amount)
			wantFault(t, "amount", err, fault.Invalid, "amount")
			_, _, err = c.Log(ctx, "repo", "main", "", amount)
			wantFault(t, "amount", err, fault.Invalid, "amount")
		}
	})
}

func names[T any](page []T, name func(T) string) (out []string) {
	for _, v := range page {
		out = append(out, name(v))
	}
	return out
}

func TestMissingThingsAreNamed(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		id := strings.Repeat("a", 64)
		for what, tc := range map[string]struct {
			err  func(repository string) error
			part string
		}{
			"Branch":       {func(r string) error { _, err := c.Branch(ctx, r, "none"); return err }, "branch not found"},
			"bad branch":   {func(r string) error { _, err := c.Branch(ctx, r, "a.b"); return err }, "branch not found"},
			"Commit":       {func(r string) error { _, err := c.Commit(ctx, r, id); return err }, "commit not found"},
			"bad commit":   {func(r string) error { _, err := c.Commit(ctx, r, "x"); return err }, "commit not found"},
			"Resolve":      {func(r string) error { _, err := c.Resolve(ctx, r, id); return err }, "not found"},
			"bad ref":      {func(r string) error { _, err := c.Resolve(ctx, r, "a b"); return err }, `ref "a b" not found`},
			"Log":          {func(r string) error { _, _, err := c.Log(ctx, r, "none", "", 1); return err }, `ref "none" not found`},
			"Log after":    {func(r string) error { _, _, err := c.Log(ctx, r, "main", id, 1); return err }, "commit not found"},
			"CreateBranch": {func(r string) error { _, err := c.CreateBranch(ctx, r, "new", "none"); return err }, `ref "none" not found`},
			"MoveBranch":   {func(r string) error { return c.MoveBranch(ctx, r, Branch{Name: "main", Revision: 1}, id) }, "commit not found"},
		} {
			wantFault(t, what, tc.err("repo"), fault.NotFound, tc.part)
			for _, repository := range []string{"none", "", "a.b", "repo.main"} {
				wantFault(t, what+" in "+repository, tc.err(repository), fault.NotFound, "repository not found")
			}
		}
		_, err := c.Repository(ctx, "none")
		wantFault(t, "Repository", err, fault.NotFound, "repository not found")
		_, _, err = c.Branches(ctx, "none", "", "", 1)
		wantFault(t, "Branches", err, fault.NotFound, "repository not found")
		wantFault(t, "SetMetadata", c.SetMetadata(ctx, "none", nil), fault.NotFound, "repository not found")
	})
}

func commitOn(t *testing.T, c *Catalog, branch, message string) Commit {
	t.Helper()
	b, err := c.Branch(t.Context(), "repo", branch)
	if err != nil {
		t.Fatal(err)
	}
	commit, err := c.AddCommit(t.Context(), "repo", Commit{Message: message, Created: time.Now(), Parents: []string{b.CommitID}, Metadata: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MoveBranch(t.Context(), "repo", b, commit.ID); err != nil {
		t.Fatal(err)
	}
	return commit
}

func TestBranchesMoveAlone(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		if _, err := c.CreateBranch(ctx, "repo", "side", one.ID); err != nil {
			t.Fatal(err)
		}
		_, err := c.CreateBranch(ctx, "repo", "side", "main")
		wantFault(t, "again", err, fault.Conflict, `branch "side" exists already`)
		_, err = c.CreateBranch(ctx, "repo", "a/b", "main")
		wantFault(t, "bad name", err, fault.Invalid, "name")
		_, err = c.CreateBranch(ctx, "repo", strings.Repeat("a", 256), "main")
		wantFault(t, "long name", err, fault.Invalid, "name")
		two := commitOn(t, c, "side", "two")
		for ref, want := range map[string]string{"main": one.ID, "side": two.ID, one.ID: one.ID, two.ID: two.ID} {
			if got, err := c.Resolve(ctx, "repo", ref); err != nil || got.ID != want {
				t.Errorf("Resolve(%s) = %s, %v, want %s", ref, got.ID, err, want)
			}
		}
	})
}

func TestBranchIsMovedByOneOnly(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		head, err := c.Branch(ctx, "repo", "main")
		if err != nil {
			t.Fatal(err)
		}
		won := make(chan string, 8)
		var wg sync.WaitGroup
		for i := range cap(won) {
			wg.Go(func() {
				commit, err := c.AddCommit(ctx, "repo", Commit{Message: fmt.Sprint(i), Parents: []string{head.CommitID}, Generation: 2})
				if err != nil {
					t.Error(err)
					return
				}
				switch err := c.MoveBranch(ctx, "repo", head, commit.ID); {
				case err == nil:
					won <- commit.ID
				case !fault.Is(err, fault.Conflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d moved the branch", len(won))
		}
		if now, err := c.Branch(ctx, "repo", "main"); err != nil || now.CommitID != <-won {
			t.Errorf("head %+v, %v", now, err)
		}
	})
}

func TestLogWalksFirstParents(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		for i := range 5 {
			commitOn(t, c, "main", fmt.Sprint(i))
		}
		const want = "4 3 2 1 0 Repository created"
		for amount := 1; amount <= 7; amount++ {
			var got []string
			for after, more := "", true; more; {
				var page []Commit
				var err error
				if page, more, err = c.Log(ctx, "repo", "main", after, amount); err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 || len(page) > amount {
					t.Fatalf("page of %d, asked for %d", len(page), amount)
				}
				got = append(got, names(page, func(c Commit) string { return c.Message })...)
				after = page[len(page)-1].ID
			}
			if s := strings.Join(got, " "); s != want {
				t.Errorf("pages of %d: %q, want %q", amount, s, want)
			}
		}
		all, _, err := c.Log(ctx, "repo", "main", "", 6)
		if err != nil {
			t.Fatal(err)
		}
		if page, more, err := c.Log(ctx, "repo", "main", all[5].ID, 1); err != nil || more || len(page) != 0 {
			t.Errorf("Log after the first commit = %+v, %v, %v", page, more, err)
		}
	})
}

func TestAddCommitIsIdempotent(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		create(t, c, "repo")
		in := Commit{Committer: "u", Message: "m\x00<é", MetarangeID: "x", Created: time.Unix(1, 999).In(time.FixedZone("", 3600)), Metadata: map[string]string{"a": "b"}, Parents: []string{"p"}, Generation: 3}
		first, err := c.AddCommit(ctx, "repo", in)
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.AddCommit(ctx, "repo", in)
		if err != nil || second.ID != first.ID {
			t.Errorf("again: %+v, %v", second, err)
		}
		got, err := c.Commit(ctx, "repo", first.ID)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(first) || got.Identity() != got.ID {
			t.Errorf("Commit = %+v, %v, want %+v", got, err, first)
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

// The identities were computed by lakeFS v1.83.0, graveler.Commit.Identity.
func TestIdentityIsThatOfLakeFS(t *testing.T) {
	for want, c := range map[string]Commit{
		"e7720703b5e19f0c37c665b0bf14fc291522d882cd951d854edb8b1f1c33689d": {
			Message: "Repository created", Created: time.Unix(1700000000, 5), Generation: 1,
		},
		"382246196fe685197f2d48330782716d2d72b1eb764f655eae4ffb28c4a00002": {
			Committer: "a user", Message: "Import objects\né", MetarangeID: "63a1b2", Created: time.Unix(-1, 0),
			Metadata: map[string]string{"b": "2", "": "", "a": "1"}, Parents: []string{"p1", "p2"}, Generation: 7,
		},
	} {
		if got := c.Identity(); got != want {
			t.Errorf("identity of %+v = %s, want %s", c, got, want)
		}
	}
}
