package demo_test

import (
	"testing"

	"github.com/rangefleet/rangefleet/pkg/ctl"
)

// Every command about something that does not exist fails, and names it in one line.
func TestUnknownNamesAreNamed(t *testing.T) {
	data := t.TempDir()
	l := startLive(t, data)
	if code, _, errs := l.run("repo create lakefs://lake local://" + data + "/lake"); code != ctl.OK {
		t.Fatalf("exit %d: %s", code, errs)
	}
	const (
		notFound     = " not found (HTTP 404)\n"
		branches     = "hint: branches that exist: main\n"
		noRepository = "repository" + notFound + "hint: repositories that exist: lake\n"
		noBranch     = "branch" + notFound + branches
		noRef        = "ref \"gone\"" + notFound + branches
		noImport     = "not found (HTTP 404)\nhint: imports are forgotten a day after they end; rangectl imports lakefs://lake lists those that are known\n"
		noUser       = "user" + notFound
		noKey        = "access key" + notFound
	)
	for _, c := range []struct{ line, want string }{
		{"imports lakefs://gone", "lakefs://gone: " + noRepository},
		{"imports gone", "gone: " + noRepository},
		{"import --from local:///x/ --to lakefs://gone/main/", "lakefs://gone/main/: " + noRepository},
		{"import --from local:///x/ --to lakefs://lake/gone/", "lakefs://lake/gone/: " + noBranch},
		{"status lakefs://gone/main ID", "import ID is not known at lakefs://gone/main: " + noRepository},
		{"status lakefs://lake/gone ID", "import ID is not known at lakefs://lake/gone: not found (HTTP 404)\n" + branches},
		{"status lakefs://lake/main ID", "import ID is not known at lakefs://lake/main: " + noImport},
		{"status --watch lakefs://gone/main ID", "import ID is not known at lakefs://gone/main: " + noRepository},
		{"status --watch lakefs://lake/main ID", "import ID is not known at lakefs://lake/main: " + noImport},
		{"cancel lakefs://gone/main ID", "canceling: import ID is not known at lakefs://gone/main: " + noRepository},
		{"cancel lakefs://lake/gone ID", "canceling: import ID is not known at lakefs://lake/gone: not found (HTTP 404)\n" + branches},
		{"cancel lakefs://lake/main ID", "canceling: import ID is not known at lakefs://lake/main: " + noImport},
		{"ls lakefs://gone/main", "lakefs://gone/main: " + noRepository},
		{"ls lakefs://lake/gone", "lakefs://lake/gone: " + noRef},
		{"stat lakefs://gone/main/k", "lakefs://gone/main/k: " + noRepository},
		{"stat lakefs://lake/gone/k", "lakefs://lake/gone/k: " + noRef},
		{"stat lakefs://lake/main/gone", "lakefs://lake/main/gone: object not found (HTTP 404)\n"},
		{"log lakefs://gone/main", "lakefs://gone/main: " + noRepository},
		{"log lakefs://lake/gone", "lakefs://lake/gone: " + noRef},
		{"log lakefs://lake/main --after gone", "lakefs://lake/main: ref \"gone\" not found (HTTP 404)\n"},
		{"repo get lakefs://gone", "lakefs://gone: " + noRepository},
		{"repo delete lakefs://gone --yes", "lakefs://gone: deleting the repository: " + noRepository},
		{"branch list lakefs://gone", "lakefs://gone: " + noRepository},
		{"branch get lakefs://gone/main", "lakefs://gone/main: " + noRepository},
		{"branch get lakefs://lake/gone", "lakefs://lake/gone: " + noBranch},
		{"branch create lakefs://gone/new --source main", "lakefs://gone/new: creating the branch: " + noRepository},
		{"branch create lakefs://lake/new --source gone", "lakefs://lake/new: creating the branch: " + noRef},
		{"branch reset lakefs://gone/main main", "lakefs://gone/main: " + noRepository},
		{"branch reset lakefs://lake/gone main", "lakefs://lake/gone: " + noBranch},
		{"branch reset lakefs://lake/main gone", "resetting the branch: ref \"gone\" not found (HTTP 404)\n"},
		{"branch revert lakefs://gone/main main", "lakefs://gone/main: " + noRepository},
		{"branch revert lakefs://lake/gone main", "lakefs://lake/gone: " + noBranch},
		{"branch revert lakefs://lake/main gone", "reverting: gone: ref \"gone\" not found (HTTP 404)\n"},
		{"verify lakefs://gone/main", "lakefs://gone/main: " + noRepository},
		{"verify lakefs://lake/gone", "lakefs://lake/gone: " + noRef},
		{"inspect lakefs://gone/main", "lakefs://gone/main: " + noRepository},
		{"inspect lakefs://lake/gone", "lakefs://lake/gone: " + noRef},
		{"auth user delete gone --yes", "gone: deleting the user: " + noUser},
		{"auth key create gone", "gone: creating the access key: " + noUser},
		{"auth key ls gone", "gone: " + noUser},
		{"auth key rotate gone RFX", "gone RFX: " + noUser},
		{"auth key rotate admin RFX", "admin RFX: " + noKey},
		{"auth key revoke gone RFX", "gone RFX: revoking access key RFX: " + noUser},
		{"auth key revoke admin RFX", "admin RFX: revoking access key RFX: " + noKey},
		{"auth session ls gone", "gone: " + noUser},
		{"auth session revoke gone none", "gone none: revoking session none: " + noUser},
		{"auth session revoke gone --all", "gone: revoking the sessions of user gone: " + noUser},
		{"auth session revoke admin none", "admin none: revoking session none: session not found (HTTP 404)\n"},
	} {
		code, out, errs := l.run(c.line)
		if want := "rangectl: " + c.want; code != ctl.Failed || out != "" || errs != want {
			t.Errorf("%s: exit %d, %s%s, want %s", c.line, code, out, errs, want)
		}
	}
	if code, out, errs := l.run("imports lakefs://lake"); code != ctl.OK || out != "" || errs != "" {
		t.Errorf("of a repository without imports: exit %d, %s%s", code, out, errs)
	}
}
