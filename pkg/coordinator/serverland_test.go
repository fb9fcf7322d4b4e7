package coordinator

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
)

// on returns a function that answers calls with a text.
func on(text string, a said) func(call string) said {
	return func(call string) said {
		if strings.Contains(call, text) {
			return a
		}
		return said{}
	}
}

// wantEnd checks how an import ended, that its error has the text, and that no hidden branch
// is left.
func (i *serverImport) wantEnd(r imports.Record, state imports.State, text string) {
	i.fleet.t.Helper()
	if r.State != state || !strings.Contains(r.Error, text) {
		i.fleet.t.Errorf("import is %s: %q, want %s: %q", r.State, r.Error, state, text)
	}
	if left := i.lakefs.hidden(); len(left) > 0 {
		i.fleet.t.Errorf("the branches %q are left", left)
	}
}

// The tree of an import is stored before the server is told of it, as all fakes of the server check.
func TestAnImportLandsOnAServer(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.wantEnd(i.ends(i.driver(i.service)), imports.Completed, "")
	if n := len(i.lakefs.landed()); n != 1 {
		t.Errorf("the import made %d commits", n)
	}
}

func TestAttemptsAreCountedByTheirResults(t *testing.T) {
	t.Parallel()
	for result, instead := range map[string]func(i *serverImport) func(call string) said{
		attemptLanded: func(*serverImport) func(string) said { return nil },
		attemptMoved: func(i *serverImport) func(string) said {
			return func(call string) said {
				if strings.Contains(call, "/refs/rf-1/merge") {
					i.lakefs.commit("main", "of a user", nil)
				}
				return said{}
			}
		},
		attemptRefused: func(*serverImport) func(string) said {
			return on("/refs/rf-1/merge", said{412, "pre-merge hook aborted"})
		},
		attemptUnknown: func(*serverImport) func(string) said { return on("/refs/rf-1/merge", said{429, "too many tries"}) },
	} {
		i := newServerImport(t)
		i.lakefs.answers(instead(i))
		d := i.driver(i.service)
		_, _ = d.step(t.Context()) // it ends, or its outcome is unknown
		for _, r := range []string{attemptLanded, attemptMoved, attemptRefused, attemptUnknown} {
			if n := sample(t, i.service, "rangefleet_commit_attempts_total", r); (n == 1) != (r == result) {
				t.Errorf("%s: %v attempts are %s", result, n, r)
			}
		}
	}
}

// A server that is too busy gets a pause after each try, and the import fails after as many
// as any import does.
func TestABusyServerIsNotAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	for _, busy := range []string{"POST /repositories/repo/branches", "POST /repositories/repo/refs/rf-1/merge"} {
		i := newServerImport(t)
		i.lakefs.answers(on(busy, said{429, "too many tries"}))
		d := i.driver(i.service)
		i.fails(d, "too many tries")
		if n := i.lakefs.count("POST /repositories/repo/branches/"); n > 1 {
			t.Errorf("%s: %d trees were committed in one step", busy, n)
		}
		i.lakefs.answers(on("POST /repositories/repo/branches", said{429, "too many tries"}))
		i.failsToTheEnd(d, "too many tries")
		i.wantEnd(i.ends(d), imports.Failed, "too many tries")
	}
}

// A server that cannot ask who keeps its users refuses every login. That is tried again at
// each step, as if the server were away.
func TestALoginThatIsRefusedForAMomentDelaysAnImport(t *testing.T) {
	t.Parallel()
	const words = "error authenticating request"
	for _, step := range []string{
		"GET /repositories/repo  by account", "GET /repositories/repo/branches/main  by account", "GET /repositories/repo/commits/base",
		"POST /repositories/repo/branches ", "/branches/rf-1/commits", "GET /auth/users/me", "/refs/main/merge/main  by caller", "/refs/rf-1/merge/main",
	} {
		t.Run(step, func(t *testing.T) {
			i := newServerImport(t)
			s := i.service
			if step == "GET /auth/users/me" { // which a coordinator asks that does not know the login
				s = i.fleet.service()
				t.Cleanup(s.close)
				s.session = i.service.session
			}
			d, reached := i.driver(s), false
			i.lakefs.answers(func(call string) said {
				if reached = reached || strings.Contains(call, step); reached {
					return said{401, words}
				}
				return said{}
			})
			i.fails(d, "")
			i.fails(d, "")
			i.lakefs.answers(nil)
			i.wantEnd(i.ends(d), imports.Completed, "")
			if n := len(i.lakefs.landed()); n != 1 {
				t.Errorf("the import made %d commits", n)
			}
		})
	}
}

// A login that stays refused fails an import like a server that stays away.
func TestALoginThatIsRefusedForGoodFailsAnImport(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.answers(on("", said{401, "error authenticating request"}))
	d := i.driver(i.service)
	i.failsToTheEnd(d, "error authenticating request")
	if r := i.ends(d); r.State != imports.Failed || !strings.Contains(r.Error, "error authenticating request") {
		t.Errorf("import is %s: %q", r.State, r.Error)
	}
	if _, err := i.service.Start(root.In(t.Context()), request("", "")); !fault.Is(err, fault.Denied) { // of the caller
		t.Errorf("start: %v", err)
	}
	i.lakefs.answers(on("GET /repositories/repo  by account", said{401, "error authenticating request"}))
	if _, err := i.service.Start(root.In(t.Context()), request("", "")); !fault.Is(err, fault.Later) {
		t.Errorf("start: %v, want it to be tried again", err)
	}
}

// A merge whose outcome cannot be learned is unknown for half an hour from when that was met,
// however long the import took before.
func TestAnOutcomeIsUnknownForABoundedTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		instead func(call string) said
		text    string
	}{
		"dirty":         {on("/refs/rf-", said{400, "uncommitted changes (dirty branch)"}), "dirty branch"},
		"not permitted": {on("/refs/", said{401, "not allowed to fs:ReadBranch"}), "not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newServerImport(t)
			i.lakefs.answers(on("/refs/rf-", said{500, "away"}))
			i.fleet.clock.Store(int64(2 * time.Hour))
			d := i.driver(i.service)
			i.fails(d, "away")
			i.lakefs.answers(c.instead)
			for d.failures < 2*maxFailures { // they end no import that may have landed
				i.fails(d, c.text)
			}
			i.fleet.clock.Add(int64(29 * time.Minute))
			i.fails(d, c.text)
			i.fleet.clock.Add(int64(2 * time.Minute))
			r := i.ends(d)
			if r.State != imports.Failed || !strings.Contains(r.Error, "it is not known") || !strings.Contains(r.Error, i.id) {
				t.Errorf("import is %s: %q", r.State, r.Error)
			}
		})
	}
}

// The half hour goes on while coordinators restart, each of which tries a few times.
func TestAnOutcomeIsUnknownForABoundedTimeAcrossRestarts(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.answers(on("/refs/rf-", said{500, "away"}))
	i.fails(i.driver(i.service), "away")
	i.lakefs.answers(on("/refs/rf-", said{400, "dirty branch"}))
	var d *driver
	for range 4 {
		i.fleet.clock.Add(int64(10 * time.Minute))
		d = i.driver(i.service) // as after a restart
		for range unknownTries - 1 {
			i.fails(d, "dirty branch")
		}
	}
	if r := i.ends(d); r.State != imports.Failed || !strings.Contains(r.Error, "it is not known") {
		t.Errorf("import is %s: %q", r.State, r.Error)
	}
}

// While the server is away nothing is decided, and a coordinator that starts again after a
// long time tries before it gives up.
func TestAnImportWaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.answers(on("/refs/rf-", said{500, "away"}))
	d := i.driver(i.service)
	i.fails(d, "away")
	i.lakefs.answers(on("", said{503, "away"}))
	for d.failures < maxFailures {
		i.fails(d, "away")
		i.fleet.clock.Add(int64(time.Hour))
	}
	i.lakefs.answers(nil)
	i.wantEnd(i.ends(i.driver(i.service)), imports.Completed, "")
	if n := len(i.lakefs.landed()); n != 1 {
		t.Errorf("the import made %d commits", n)
	}
}

// An import of which it is known that it did not land is given up like any other, even if it
// has been committing.
func TestAnImportThatDidNotLandIsGivenUp(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.answers(on("/refs/rf-", said{500, "away"}))
	d := i.driver(i.service)
	i.fails(d, "not known")
	i.lakefs.answers(on("GET /repositories/repo/branches/main", said{500, "no head"}))
	i.failsToTheEnd(d, "no head")
	if r := i.fleet.record(i.id); r.State != imports.Committing {
		t.Fatalf("import is %s", r.State)
	}
	i.wantEnd(i.ends(d), imports.Failed, "no head")
}

// Starts share a list of repositories for a while. The repository of an import may be newer.
func TestANamespaceThatIsNewerThanTheListIsNoSource(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.change(func(f *fakeServer) { f.namespace = "s3://bucket/" })
	const want = `in repository namespace is prohibited`
	if _, err := i.service.Start(root.In(t.Context()), request("", "")); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// Imports that start within a moment share a list of repositories.
func TestRepositoriesAreListedOnceInAMoment(t *testing.T) {
	t.Parallel()
	f, fake := newServerFleet(t, entrytest.Random(rand.New(rand.NewPCG(1, 2)), 1)[0])
	s := f.service()
	t.Cleanup(s.close)
	for second, want := range []int{1, 1, 1} {
		f.start(s, request("", strconv.Itoa(second)))
		f.clock.Add(int64(time.Second))
		if n := fake.count("GET /repositories  by"); n != want {
			t.Errorf("after %d s they were listed %d times, want %d", second, n, want)
		}
	}
	f.clock.Add(int64(repositoriesFresh))
	f.start(s, request("", "later"))
	if n := fake.count("GET /repositories  by"); n != 2 {
		t.Errorf("later they were listed %d times", n)
	}
}

// An import that is canceled while it makes a hidden branch leaves none.
func TestACanceledImportLeavesNoBranch(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.answers(func(call string) said {
		if strings.Contains(call, "/branches/rf-1/commits") {
			expect.NoError(t, i.service.Cancel(t.Context(), "repo", i.id))
		}
		return said{}
	})
	d := i.driver(i.service)
	for ended := false; !ended; {
		var err error
		ended, err = d.step(t.Context())
		expect.NoError(t, err)
	}
	i.wantEnd(i.fleet.record(i.id), imports.Canceled, "")
	if n := len(i.lakefs.landed()); n != 0 {
		t.Errorf("the import made %d commits", n)
	}
}

// An import does not land in another repository of the same name, and a tree is written to
// no namespace that the server does not find it in.
func TestAnImportLandsInItsOwnRepository(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.created++
	i.wantEnd(i.ends(i.driver(i.service)), imports.Failed, "another one with the same name")
	i.lakefs.namespace = "local:///ns"
	if _, err := i.service.Start(root.In(t.Context()), request("", "")); !fault.Is(err, fault.Forbidden) {
		t.Errorf("start: %v, want it to be forbidden", err)
	}
}
