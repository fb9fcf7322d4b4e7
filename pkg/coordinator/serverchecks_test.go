package coordinator

import (
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/rangefleet/rangefleet/internal/entrytest"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
)

// What an import is refused for at its start refuses it before its merge, too.
func TestABranchAndSourcesAreCheckedAgainBeforeTheMerge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*fakeServer)
		skip    bool
		refused string
	}{
		"a hook came":         {change: func(f *fakeServer) { f.hook = true }, refused: "pre-commit hooks"},
		"a skipped hook came": {change: func(f *fakeServer) { f.hook = true }, skip: true},
		"a repository came":   {change: func(f *fakeServer) { f.elsewhere = "s3://bucket/" }, refused: "in repository namespace is prohibited"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newServerImport(t)
			i.service.lakefs.skipHooks = c.skip
			i.lakefs.change(c.change)
			state := imports.Completed
			if c.refused != "" {
				state = imports.Failed
			}
			i.wantEnd(i.ends(i.driver(i.service)), state, c.refused)
		})
	}
}

// An import that cannot be checked before its merge is given up like any other.
func TestAnImportThatCannotBeCheckedIsGivenUp(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	i.lakefs.answers(on("/ls ", said{500, "broken"}))
	d := i.driver(i.service)
	i.failsToTheEnd(d, "cannot be asked now")
	i.wantEnd(i.ends(d), imports.Failed, "cannot be asked now")
}

// What a caller needs is asked again before the merge, as long as the login is known and
// holds. Otherwise what was granted holds, unless the user is gone.
func TestACallerIsCheckedAgainBeforeTheMerge(t *testing.T) {
	t.Parallel()
	cookie := lakefs.Forward(&http.Request{Header: http.Header{"Cookie": {"internal_auth_session=x"}}})
	gone := on("GET /auth/users/me", said{404, "user not found"})
	expired := said{401, "error authenticating request"}
	for name, c := range map[string]struct {
		login   lakefs.Login
		restart bool
		instead func(call string) said
		refused string
	}{
		"may not commit":          {instead: on("/refs/main/merge/main", said{401, "not allowed to fs:CreateCommit"}), refused: "fs:CreateCommit"},
		"may not write":           {instead: on("/stage_allowed", said{401, "not allowed to fs:WriteObject"}), refused: "fs:WriteObject"},
		"may not read":            {instead: on("GET /repositories/repo/branches/main  by caller", said{401, "not allowed to fs:ReadBranch"}), refused: "fs:ReadBranch"},
		"keys are gone":           {instead: on("/refs/main/merge/main", expired), refused: expired.words},
		"session has expired":     {login: cookie, instead: on("/refs/main/merge/main", expired)},
		"restarted":               {restart: true},
		"restarted, may not ask":  {restart: true, instead: on("GET /auth/users/me", said{401, "not allowed to auth:ReadUser"})},
		"restarted, user is gone": {restart: true, instead: gone, refused: "user not found"},
		"expired, user is gone": {login: cookie, refused: "user not found", instead: func(call string) said {
			if a := gone(call); a.status != 0 {
				return a
			}
			return on("/refs/main/merge/main", expired)(call)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.login.IsZero() {
				c.login = lakefs.Keys("caller", "secret")
			}
			i := newServerImportBy(t, c.login)
			i.lakefs.answers(c.instead)
			s := i.service
			if c.restart {
				s = i.fleet.service()
				t.Cleanup(s.close)
				s.session = i.service.session
			}
			state := imports.Completed
			if c.refused != "" {
				state = imports.Failed
			}
			i.wantEnd(i.ends(i.driver(s)), state, c.refused)
		})
	}
}

// A caller is asked for what a server's import asks for, and for what is written.
func TestACallerIsAskedForWhatIsWritten(t *testing.T) {
	t.Parallel()
	f, fake := newServerFleet(t, entrytest.Random(rand.New(rand.NewPCG(1, 2)), 1)[0])
	s := f.service()
	t.Cleanup(s.close)
	for destination, asked := range map[string][]string{"data": {"data", "data/"}, "data/": {"data/"}, "": {"rangefleet-any-object"}} {
		fake.answers(nil)
		f.start(s, request("", destination))
		if n := fake.count("/stage_allowed"); n != len(asked) {
			t.Errorf("%q: asked %d times, want %q", destination, n, asked)
		}
		for _, path := range asked {
			if fake.count("/stage_allowed "+path+" by ") != 1 {
				t.Errorf("%q: not asked for %q", destination, path)
			}
		}
	}
	object := request("", "")
	object.Paths = []imports.Path{{Type: imports.Object, URI: "s3://bucket/x", Destination: "x"}}
	fake.answers(nil)
	f.start(s, object)
	if fake.count("/stage_allowed") != 1 || fake.count("/stage_allowed x by ") != 1 {
		t.Error("the object is not what is asked for")
	}
}
