package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// logged returns the commits of all pages.
func logged(t *testing.T, c *Catalog, q LogQuery) (all []Commit) {
	t.Helper()
	for {
		page, err := c.Log(t.Context(), "repo", q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Commits) > q.Amount {
			t.Fatalf("page of %d, asked for %d", len(page.Commits), q.Amount)
		}
		all = append(all, page.Commits...)
		if page.Next == "" {
			return all
		}
		q.After = page.Next
	}
}

func message(c Commit) string { return c.Message }

func TestLogOfALine(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		create(t, c, "repo")
		for i := range 5 {
			commitOn(t, c, "main", fmt.Sprint(i))
		}
		for amount := 1; amount <= 7; amount++ {
			for _, x := range []struct {
				q    LogQuery
				want string
			}{
				{LogQuery{}, "4 3 2 1 0 Repository created"},
				{LogQuery{FirstParent: true}, "4 3 2 1 0 Repository created"},
				{LogQuery{After: "main~4"}, "Repository created"},
				{LogQuery{After: "main~5"}, ""},
				{LogQuery{StopAt: "main~2"}, "4 3 2"},
				{LogQuery{StopAt: "main~2", After: "main~1"}, "2"},
				{LogQuery{Since: time.Now().Add(time.Hour)}, ""},
				{LogQuery{Since: time.Now().Add(-time.Hour), StopAt: "main"}, "4"},
			} {
				x.q.Ref, x.q.Amount = "main", amount
				if got := strings.Join(names(logged(t, c, x.q), message), " "); got != x.want {
					t.Errorf("%+v: %q, want %q", x.q, got, x.want)
				}
			}
		}
		page, err := c.Log(t.Context(), "repo", LogQuery{Ref: "main", Amount: 2})
		if err != nil || page.Next != page.Commits[1].ID {
			t.Errorf("the position in a line is %s, %v, want the ID of its last commit", page.Next, err)
		}
		for _, q := range []LogQuery{{Ref: "main", StopAt: "none"}, {Ref: "main", After: "none"}, {Ref: "main", After: "main:none"}} {
			q.Amount = 1
			_, err := c.Log(t.Context(), "repo", q)
			wantFault(t, fmt.Sprint(q), err, fault.NotFound, "not found")
		}
	})
}

// TestLogAgainstATwin compares logs of random histories with sorted sets of commits.
func TestLogAgainstATwin(t *testing.T) {
	rng := seeded.Rand(t)
	for range 30 {
		c := New(&kvtest.Memory{})
		create(t, c, "repo")
		h := randomHistory(t, c, rng, 40)
		for range 20 {
			q := LogQuery{Ref: h[rng.IntN(len(h))].ID, Amount: 1 + rng.IntN(9), FirstParent: rng.IntN(3) == 0}
			if rng.IntN(3) == 0 {
				q.Since = h[rng.IntN(len(h))].Created
			}
			if rng.IntN(3) == 0 {
				q.StopAt = h[rng.IntN(len(h))].ID
			}
			if rng.IntN(2) == 0 {
				q.Keep = func(_ context.Context, c Commit) (bool, error) { return c.ID[0] > '7', nil }
			}
			if rng.IntN(2) == 0 {
				q.Enough = func() bool { return rng.IntN(4) == 0 }
			}
			if got, want := names(logged(t, c, q), message), names(naiveLog(h, q), message); !slices.Equal(got, want) {
				t.Fatalf("%+v:\n%q, want\n%q", q, got, want)
			}
		}
	}
}

// randomHistory stores commits with up to two parents among the last ones.
func randomHistory(t *testing.T, c *Catalog, rng *rand.Rand, n int) []Commit {
	t.Helper()
	first, err := c.Resolve(t.Context(), "repo", "main")
	if err != nil {
		t.Fatal(err)
	}
	all := []Commit{first}
	for i := range n {
		next := Commit{Message: fmt.Sprint(i), Created: time.Unix(rng.Int64N(10), 0), Generation: 1}
		for range 1 + rng.IntN(2) {
			p := all[len(all)-1-rng.IntN(min(len(all), 4))]
			if !slices.Contains(next.Parents, p.ID) {
				next.Parents = append(next.Parents, p.ID)
				next.Generation = max(next.Generation, p.Generation+1)
			}
		}
		if next, err = c.AddCommit(t.Context(), "repo", next); err != nil {
			t.Fatal(err)
		}
		all = append(all, next)
	}
	return all
}

// naiveLog is the log of a history whose commits follow their parents.
func naiveLog(history []Commit, q LogQuery) (log []Commit) {
	reached := map[string]bool{q.Ref: true}
	for _, c := range slices.Backward(history) {
		if !reached[c.ID] || c.Created.Before(q.Since) {
			continue
		}
		log = append(log, c)
		for i, p := range c.Parents {
			reached[p] = reached[p] || i == 0 || !q.FirstParent
		}
	}
	slices.SortFunc(log, func(a, b Commit) int { return compareTurns(b, a) })
	if i := slices.IndexFunc(log, func(c Commit) bool { return c.ID == q.StopAt }); i >= 0 {
		log = log[:i+1]
	}
	return slices.DeleteFunc(log, func(c Commit) bool {
		if q.Keep == nil {
			return false
		}
		keep, _ := q.Keep(context.Background(), c)
		return !keep
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
	all := 0
	for q := (LogQuery{Ref: "main", Amount: 1000}); ; {
		page, err := c.Log(t.Context(), "repo", q)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, commit := range page.Commits {
			size += commit.textSize()
		}
		if size > limits.LogPage+limits.Message || page.Next != "" && size < limits.LogPage {
			t.Fatalf("a page of %d commits takes %d bytes, next %q", len(page.Commits), size, page.Next)
		}
		all += len(page.Commits)
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if all != 101 {
		t.Errorf("%d commits, want 101", all)
	}
}

func TestLogEndsWithAnErrorOfKeep(t *testing.T) {
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	bad := errors.New("bad")
	_, err := c.Log(t.Context(), "repo", LogQuery{Ref: "main", Amount: 1, Keep: func(context.Context, Commit) (bool, error) { return false, bad }})
	if !errors.Is(err, bad) {
		t.Errorf("error %v, want %v", err, bad)
	}
}

// A merge of many branches leaves more commits waiting than a position holds.
func TestMoreLinesThanAPositionHolds(t *testing.T) {
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	first, err := c.Resolve(t.Context(), "repo", "main")
	if err != nil {
		t.Fatal(err)
	}
	merge := Commit{Generation: 3}
	for i := range maxWaiting + 2 {
		side, err := c.AddCommit(t.Context(), "repo", Commit{Message: fmt.Sprint(i), Parents: []string{first.ID}, Generation: 2})
		if err != nil {
			t.Fatal(err)
		}
		merge.Parents = append(merge.Parents, side.ID)
	}
	if merge, err = c.AddCommit(t.Context(), "repo", merge); err != nil {
		t.Fatal(err)
	}
	_, err = c.Log(t.Context(), "repo", LogQuery{Ref: merge.ID, Amount: 2})
	wantFault(t, "two commits", err, fault.Invalid, "first_parent")
	if got := logged(t, c, LogQuery{Ref: merge.ID, Amount: 2, FirstParent: true}); len(got) != 3 {
		t.Errorf("%d commits by first parents, want 3", len(got))
	}
	if got := logged(t, c, LogQuery{Ref: merge.ID, Amount: 100}); len(got) != maxWaiting+4 {
		t.Errorf("%d commits on one page, want %d", len(got), maxWaiting+4)
	}
}
