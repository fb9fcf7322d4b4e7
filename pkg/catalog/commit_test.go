package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

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

// A thousand large messages are read page by page. No page is much larger than the limit, and
// no commit is missing.
func TestLogPagesAreBoundedInBytes(t *testing.T) {
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	for i := range 100 {
		commitOn(t, c, "main", fmt.Sprint(i, strings.Repeat("m", limits.Message-3)))
	}
	var all []Commit
	for after, more := "", true; more; {
		var page []Commit
		var err error
		if page, more, err = c.Log(t.Context(), "repo", "main", after, 1000); err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, commit := range page {
			size += commit.textSize()
		}
		if size > limits.LogPage+limits.Message || more && size < limits.LogPage {
			t.Fatalf("a page of %d commits takes %d bytes, more follow: %t", len(page), size, more)
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
	if len(all) != 101 {
		t.Errorf("%d commits, want 101", len(all))
	}
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
		if err != nil || fmt.Sprint(got) != fmt.Sprint(first) || got.identity() != got.ID {
			t.Errorf("Commit = %+v, %v, want %+v", got, err, first)
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
		if got := c.identity(); got != want {
			t.Errorf("identity of %+v = %s, want %s", c, got, want)
		}
	}
}
