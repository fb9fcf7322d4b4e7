package lakefsserver_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
	"github.com/rangefleet/rangefleet/test/lakefsserver/faultproxy"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// An import of these tests replaces data/ by these paths.
var imported = []string{"data/a", "data/new"}

// lander lands an import on main, as a coordinator does.
type lander struct {
	repo   lakefstest.Repository
	server *lakefs.Session // by way of the proxy
	proxy  *faultproxy.Proxy
	store  landing.State // the durable record
	names  int
	stores bool // store commits if the hidden branches are protected
}

func newLander(t *testing.T, repo lakefstest.Repository) *lander {
	t.Helper()
	proxy := faultproxy.Start(t, repo.Endpoint)
	login := lakefs.Keys(lakefstest.Admin.AccessKeyID, lakefstest.Admin.SecretAccessKey)
	server, err := lakefs.Open(lakefs.Config{URL: proxy.URL, Transport: &http.Transport{DisableKeepAlives: true}}, login)
	if err != nil {
		t.Fatal(err)
	}
	return &lander{repo: repo, server: server, proxy: proxy}
}

func (l *lander) driver() *landing.Driver {
	newName := func() string { l.names++; return fmt.Sprintf("rf-%s-%d", l.repo.Name, l.names) }
	return landing.Resume(l.store, landing.Config{NewName: newName, StoreCommits: l.stores})
}

// step performs the next action of a driver, and tells it the outcome unless it is killed
// before that.
func (l *lander) step(t *testing.T, d *landing.Driver, killed bool) {
	t.Helper()
	a := d.Next()
	var o landing.Outcome
	switch a.Kind {
	case landing.Prepare:
		o = l.prepare(t, a)
	case landing.Record:
		if !l.store.Equal(a.From) {
			o.Result = landing.Refused
		} else {
			l.store = a.State
		}
	case landing.Authorize, landing.Wait, landing.Stop:
	case landing.Sweep:
		l.sweep(t, a.Branches)
	default:
		o = l.perform(t, a)
	}
	if !killed {
		d.Perform(o)
	}
}

func (l *lander) sweep(t *testing.T, branches []string) {
	t.Helper()
	for _, b := range branches {
		l.perform(t, landing.Action{Kind: landing.Delete, Branch: b})
	}
}

func (l *lander) perform(t *testing.T, a landing.Action) landing.Outcome {
	t.Helper()
	to := lakefs.Destination{Repository: l.repo.Name, Branch: "main", Message: "an import", Metadata: map[string]string{"k": "v"}}
	o, err := l.server.Perform(t.Context(), to, a)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// prepare lets lakeFS make the tree.
func (l *lander) prepare(t *testing.T, a landing.Action) landing.Outcome {
	t.Helper()
	base := a.Base
	if base == "" {
		base = l.repo.Head(t, "main")
	}
	var extra []string
	for _, p := range l.repo.Paths(t, base) {
		if strings.HasPrefix(p, "data/") && !slices.Contains(imported, p) {
			extra = append(extra, p)
		}
	}
	return landing.Outcome{Base: base, Metarange: tree(t, l.repo, base, imported, extra)}
}

// run lets a new driver end the landing, whose branches are deleted again when its record is
// forgotten.
func (l *lander) run(t *testing.T) {
	t.Helper()
	d := l.driver()
	for d.Next().Kind != landing.Stop {
		l.step(t, d, false)
	}
	l.sweep(t, l.store.Branches)
}

// wantLanded checks that the import landed by one commit, was corrected by so many, and that
// main holds just these paths.
func (l *lander) wantLanded(t *testing.T, corrections int, paths ...string) {
	t.Helper()
	landed, corrected := 0, 0
	for _, c := range l.repo.Log(t, "main") {
		switch {
		case c.Metadata["rangefleet.corrects"] != "":
			corrected++
		case c.Metadata["rangefleet.landing"] != "":
			landed++
		}
	}
	if landed != 1 || corrected != corrections || l.store.End != landing.Completed {
		t.Errorf("%d commits and %d corrections, and the landing %s: %+v", landed, corrected, l.store.End, l.store)
	}
	if got := l.repo.Paths(t, "main"); !slices.Equal(got, paths) {
		t.Errorf("main holds %q, want %q", got, paths)
	}
	for _, b := range l.store.Branches {
		l.repo.In(t, "GET", "/branches/"+b, nil).Is(t, http.StatusNotFound, "branch not found")
	}
}

var mergeCall = faultproxy.Rule{Method: "POST", Path: regexp.MustCompile(`/refs/rf-[^/]*/merge/`)}

func TestAnImportLands(t *testing.T) {
	l := newLander(t, start(t))
	l.run(t)
	l.wantLanded(t, 0, "data/a", "data/new", "other/c")
	if c := l.repo.Log(t, "main")[0]; c.Metadata["k"] != "v" || c.Message != "an import" || c.Parents[0] != l.store.Landed.Parent {
		t.Errorf("the commit is %+v", c)
	}
}

// losses are the ways to lose the answer to a call.
var losses = map[string]func(*faultproxy.Rule){
	"performed":     func(r *faultproxy.Rule) { r.Lose = true },
	"not-performed": func(r *faultproxy.Rule) { r.Refuse = true },
	"locked":        func(r *faultproxy.Rule) { r.Status, r.Message = 500, "branch is currently locked, please retry" },
	"too-many":      func(r *faultproxy.Rule) { r.Status = 429 },
}

// A call whose answer is lost is either performed or not, and the import lands once in both
// cases.
func TestAnImportLandsOnceWhateverAnswerIsLost(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	for name, rule := range map[string]faultproxy.Rule{
		"create": {Method: "POST", Path: regexp.MustCompile(`/branches$`), Nth: 1},
		"write":  {Method: "POST", Path: regexp.MustCompile(`/branches/rf-.*/commits`), Nth: 1},
		"merge":  {Method: mergeCall.Method, Path: mergeCall.Path, Nth: 1},
		"delete": {Method: "DELETE", Path: regexp.MustCompile(`/branches/rf-`), Nth: 1},
	} {
		for how, lose := range losses {
			t.Run(name+"-"+how, func(t *testing.T) {
				l := newLander(t, newRepository(t, server, name+"-"+how))
				r := rule
				lose(&r)
				l.proxy.Add(r)
				l.run(t)
				l.wantLanded(t, 0, "data/a", "data/new", "other/c")
			})
		}
	}
}

// A fence whose answer is lost is put up again, before the history is believed.
func TestALostFenceIsPutUpAgain(t *testing.T) {
	l := newLander(t, start(t))
	l.proxy.Add(
		faultproxy.Rule{Method: mergeCall.Method, Path: mergeCall.Path, Nth: 1, Refuse: true},
		faultproxy.Rule{Method: mergeCall.Method, Path: mergeCall.Path, Nth: 2, Lose: true},
	)
	l.run(t)
	l.wantLanded(t, 0, "data/a", "data/new", "other/c")
	if n := len(l.proxy.Calls(mergeCall)); n != 4 { // merge, fence, fence, merge of the second try
		t.Errorf("%d merges, want 4", n)
	}
}

// A commit that gets between is corrected, and what users change after the merge survives.
func TestACommitBetweenIsCorrected(t *testing.T) {
	l := newLander(t, start(t))
	user := func(path string) func() {
		return func() {
			l.repo.Put(t, "main", path, " of a user")
			l.repo.CommitAll(t, "main", path)
		}
	}
	l.proxy.Add(
		faultproxy.Rule{Method: mergeCall.Method, Path: mergeCall.Path, Nth: 1, Before: user("data/between"), After: user("data/after")},
		faultproxy.Rule{Method: mergeCall.Method, Path: mergeCall.Path, Nth: 2, Before: user("data/later")},
	)
	l.run(t)
	l.wantLanded(t, 1, "data/a", "data/after", "data/later", "data/new", "other/c")
}

// An import to a dirty branch ends with lakeFS's words, and leaves what users have staged.
func TestAnImportToADirtyBranchFails(t *testing.T) {
	l := newLander(t, start(t))
	l.repo.Put(t, "main", "data/staged", "")
	l.run(t)
	if l.store.End != landing.Failed || !strings.Contains(l.store.Text, "uncommitted changes (dirty branch)") {
		t.Errorf("the landing ended %+v", l.store)
	}
	if got := l.repo.Paths(t, "main"); !slices.Equal(got, []string{"data/a", "data/b", "data/staged", "other/c"}) {
		t.Errorf("main holds %q", got)
	}
}

// landingCount returns how many imports a test lands: the fallback, or TEST_LANDINGS.
func landingCount(t *testing.T, fallback int) int {
	t.Helper()
	text, ok := os.LookupEnv("TEST_LANDINGS")
	if !ok {
		return fallback
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("TEST_LANDINGS: %v", err)
	}
	return count
}

// A driver that is killed before or after any of its actions is followed by another one, and
// the import lands once.
func TestAnImportLandsOnceWhereverItsDriverIsKilled(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	rng := seeded.Rand(t)
	for i := range landingCount(t, 20) {
		l := newLander(t, newRepository(t, server, fmt.Sprintf("repo-%d", i)))
		l.runKilled(t, rng, i%9) // the actions until the landing is recorded
		l.wantLanded(t, 0, "data/a", "data/new", "other/c")
		if t.Failed() {
			t.Fatalf("the %d. landing", i)
		}
	}
}

// runKilled ends the landing by drivers that are killed: the first one before or after its
// action number at, and later ones at random actions.
func (l *lander) runKilled(t *testing.T, rng *rand.Rand, at int) {
	t.Helper()
	d := l.driver()
	for n := 0; d.Next().Kind != landing.Stop; n++ {
		if n == at || n > at && rng.IntN(10) == 0 {
			if rng.IntN(2) == 0 {
				l.step(t, d, true) // performed, but the driver does not live to see it
			}
			d = l.driver()
			continue
		}
		l.step(t, d, false)
	}
}
