package lakefsserver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/internal/pause"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// races is how many imports race in each test of this file; TEST_RACES sets another number.
const races = 20

func raceCount(t *testing.T) int {
	t.Helper()
	text, ok := os.LookupEnv("TEST_RACES")
	if !ok {
		return races
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("TEST_RACES: %v", err)
	}
	return count
}

// A cancel that races the commit either cancels the import, which is then not on the branch,
// or is a conflict, and the import is on the branch once.
func TestACancelThatRacesTheCommitNeverDoesBoth(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	rng := seeded.Rand(t)
	canceled, completed, longest := 0, 0, 200*time.Millisecond
	for n := range raceCount(t) {
		id := b.begin(t, b.sources+"/a/", fmt.Sprintf("race/%d/", n))
		begun := time.Now()
		_ = pause.For(t.Context(), time.Duration(rng.Int64N(int64(longest))))
		a := b.imports.In(t, "DELETE", "/branches/main/import?id="+url.QueryEscape(id), nil)
		s := b.end(t, id)
		commits := len(b.landed(t, id))
		switch {
		case a.Status == http.StatusNoContent && !s.Completed && commits == 0:
			canceled++
			longest += 20 * time.Millisecond
		case a.Status == http.StatusConflict && s.Completed && commits == 1:
			completed++
			longest = max(longest-20*time.Millisecond, time.Since(begun)/2, 50*time.Millisecond)
		default:
			t.Fatalf("%d. import: the cancel is answered %d, the status is %+v, and there are %d commits", n, a.Status, s, commits)
		}
	}
	t.Logf("%d canceled, %d completed", canceled, completed)
	if canceled == 0 || completed == 0 {
		t.Error("want both")
	}
	b.wantNoHidden(t)
}

// wantNoHidden waits until no hidden branch of an import is left: the driver of one that was
// canceled deletes its branch afterwards.
func (b *beside) wantNoHidden(t *testing.T) {
	t.Helper()
	expect.Eventually(t, "the hidden branches are gone", func() bool {
		a := b.repo.In(t, "GET", "/branches?show_hidden=true&amount=1000", nil).Is(t, http.StatusOK, "")
		return !strings.Contains(a.Body, "rf-")
	})
}

// committer is a user who commits to main while imports land there. It writes objects
// outside of the imports' destination, and within it objects that the imports do not have.
type committer struct {
	repo    lakefstest.Repository
	outside []string // paths that it put outside of the destination
	commits []string // IDs of its commits
}

// run commits until ctx ends. An import or another write may get in between, so that a
// commit is refused.
func (c *committer) run(ctx context.Context, t *testing.T, rng *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		branch := fmt.Sprintf("user-%d", n)
		outside, within := fmt.Sprintf("user/%d", n), fmt.Sprintf("data/user-%d", n)
		c.repo.In(t, "POST", "/branches", object{"name": branch, "source": "main"}).Is(t, http.StatusCreated, "")
		c.repo.Put(t, branch, outside, "")
		c.repo.Put(t, branch, within, "")
		c.repo.CommitAll(t, branch, "of the user")
		a := c.repo.In(t, "POST", "/refs/"+branch+"/merge/main", object{"message": "of the user"})
		if a.Status == http.StatusOK {
			c.outside = append(c.outside, outside)
			c.commits = append(c.commits, lakefstest.Into[struct{ Reference string }](t, a).Reference)
		} else if a.Status != http.StatusConflict && a.Status != http.StatusTooManyRequests {
			t.Errorf("the user's merge is answered %d %s", a.Status, a.Body)
			return
		}
		c.repo.In(t, "DELETE", "/branches/"+branch, nil)
		_ = pause.For(ctx, time.Duration(rng.Int64N(int64(100*time.Millisecond))))
	}
}

// Imports that land beside a committer land once each, except for corrections that say so.
// They leave what is outside of their destination, and what the user committed after them.
func TestImportsLandBesideACommitter(t *testing.T) {
	b := newBeside(t, lakefstest.Config{})
	rng := seeded.Rand(t)
	user := &committer{repo: b.repo}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	userRand := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	go func() {
		defer close(done)
		user.run(ctx, t, userRand)
	}()
	corrected := 0
	for n := range raceCount(t) {
		id := b.begin(t, b.sources+"/a/", "data/")
		if s := b.end(t, id); !s.Completed {
			t.Errorf("%d. import: %+v", n, s)
			break
		}
		corrected += b.checkLanded(t, id)
	}
	stop()
	<-done
	t.Logf("%d commits of the user, %d corrections", len(user.commits), corrected)
	paths := b.repo.Paths(t, "main")
	for _, p := range append([]string{"data/1", "data/2", "other/c"}, user.outside...) {
		if !slices.Contains(paths, p) {
			t.Errorf("main lacks %s", p)
		}
	}
	b.checkHistory(t)
	b.wantNoHidden(t)
}

// checkLanded checks that an import made one commit and at most one correction of it, and
// returns the number of corrections.
func (b *beside) checkLanded(t *testing.T, id string) (corrections int) {
	t.Helper()
	landed := ""
	for _, c := range slices.Backward(b.landed(t, id)) { // the oldest first
		switch corrects := c.Metadata["rangefleet.corrects"]; {
		case corrects == "" && landed == "":
			landed = c.ID
		case corrects != "" && corrects == landed && corrections == 0:
			corrections++
		default:
			t.Errorf("import %s: commit %+v after %q", id, c, landed)
		}
	}
	return corrections
}

// checkHistory checks each commit of an import against its parent: outside of the destination
// nothing changes, and a commit that no correction follows leaves of the destination what
// was imported and nothing that the user had put there before.
func (b *beside) checkHistory(t *testing.T) {
	t.Helper()
	log := b.repo.Log(t, "main")
	outside := func(paths []string) []string {
		return slices.DeleteFunc(paths, func(p string) bool { return strings.HasPrefix(p, "data/") })
	}
	for i, c := range log {
		if c.Metadata["rangefleet.import"] == "" {
			continue
		}
		before, after := b.repo.Paths(t, c.Parents[0]), b.repo.Paths(t, c.ID)
		within := slices.DeleteFunc(slices.Clone(after), func(p string) bool { return !strings.HasPrefix(p, "data/") })
		if !slices.Equal(outside(before), outside(after)) {
			t.Errorf("commit %s changed what is outside of the destination", c.ID)
		}
		last := !slices.ContainsFunc(log[:i], func(o lakefstest.Commit) bool { return o.Metadata["rangefleet.corrects"] == c.ID })
		if last && c.Metadata["rangefleet.corrects"] == "" && !slices.Equal(within, []string{"data/1", "data/2"}) {
			t.Errorf("commit %s leaves %q in the destination", c.ID, within)
		}
	}
}
