package catalog

import (
	"fmt"
	"testing"
	"time"
)

// commitOn adds a commit to a branch. Its parents are the branch's head, and the given commits.
func commitOn(t *testing.T, c *Catalog, branch, message string, merged ...Commit) Commit {
	t.Helper()
	b, err := c.Branch(t.Context(), "repo", branch)
	if err != nil {
		t.Fatal(err)
	}
	head, err := c.Commit(t.Context(), "repo", b.CommitID)
	if err != nil {
		t.Fatal(err)
	}
	added := Commit{Message: message, Created: time.Now(), Metadata: map[string]string{"k": "v"}}
	for _, parent := range append([]Commit{head}, merged...) {
		added.Parents = append(added.Parents, parent.ID)
		added.Generation = max(added.Generation, parent.Generation+1)
	}
	commit, err := c.AddCommit(t.Context(), "repo", added)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MoveBranch(t.Context(), "repo", b, commit.ID); err != nil {
		t.Fatal(err)
	}
	return commit
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
