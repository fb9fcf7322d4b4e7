package lakefsserver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

// patient is what rangectl doctor examines: a coordinator beside a lakeFS server.
type patient struct {
	program   rangectl
	authority *lakefstest.Authority
	repo      lakefstest.Repository
	env       []string
}

func newPatient(t *testing.T) patient {
	t.Helper()
	p := patient{program: buildRangectl(t), authority: lakefstest.NewAuthority()}
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph, Authority: p.authority})
	p.repo = newRepository(t, server, "repo")
	p.authority.Put(user, grants("")...)
	p.env = []string{
		"RANGEFLEET_CATALOG_KIND=lakefs", "RANGEFLEET_LAKEFS_URL=" + server.Endpoint,
		"RANGEFLEET_LAKEFS_ACCESS_KEY_ID=" + user.AccessKeyID, "RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY=" + user.SecretAccessKey,
		"RANGEFLEET_SOURCES_ALLOW=s3://elsewhere-than-here/", "RANGEFLEET_S3_ENDPOINT=" + ceph.Endpoint, "RANGEFLEET_S3_FORCE_PATH_STYLE=true",
		"RANGEFLEET_S3_ACCESS_KEY_ID=" + ceph.AccessKeyID, "RANGEFLEET_S3_SECRET_ACCESS_KEY=" + ceph.SecretAccessKey,
	}
	return p
}

// serviceAccount is what docs/lakefs.md says that a service account needs, and lakeFS tells.
var serviceAccount = []struct{ resource, action string }{
	{"arn:lakefs:fs:::*", "fs:ListRepositories"},
	{repositoryARN, "fs:ReadRepository"},
	{repositoryARN, "fs:ReadCommit"},
	{branchARN + "main", "fs:ReadBranch"},
	{branchARN + "main", "fs:CreateCommit"},
	{branchARN + "rf-*", "fs:CreateBranch"},
	{branchARN + "rf-*", "fs:CreateCommit"},
	{branchARN + "rf-*", "fs:DeleteBranch"},
	{branchARN + "rf-*", "fs:RevertBranch"},
	{repositoryARN, "fs:ListObjects"},
	{objectARN + "_lakefs_actions/*", "fs:ReadObject"},
	{"arn:lakefs:auth:::user/*", "auth:ReadUser"},
}

// grants returns them without one, "action on resource".
func grants(without string) (all []lakefstest.Statement) {
	for _, p := range serviceAccount {
		if p.action+" on "+p.resource != without {
			all = append(all, lakefstest.Allow(p.resource, p.action))
		}
	}
	return all
}

// examine runs doctor, and returns its lines that begin so, and its exit code.
func (p patient) examine(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	out, code = p.program.run(t, slices.Concat(p.env, env), append([]string{"doctor", "--repository", "repo"}, args...)...)
	for _, secret := range []string{user.SecretAccessKey, ceph.SecretAccessKey, "a-wrong-secret"} {
		if strings.Contains(out, secret) {
			t.Errorf("a secret is printed:\n%s", out)
		}
	}
	return out, code
}

// linesOf returns the lines of a state.
func linesOf(out, state string) (lines []string) {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, state+" ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// With what docs/lakefs.md asks for, only what is not there is complained of. Without one
// permission, that one is named. Nothing is changed at the server.
func TestDoctorTriesTheServiceAccount(t *testing.T) {
	p := newPatient(t)
	head, branches := p.repo.Head(t, "main"), p.repo.In(t, "GET", "/branches?show_hidden=true", nil).Body
	out, code := p.examine(t, nil)
	failed := linesOf(out, "failed")
	if code != 5 || len(failed) != 1 || !strings.Contains(failed[0], "NoSuchBucket") || len(linesOf(out, "warning")) > 0 {
		t.Fatalf("exit code %d, printed:\n%s", code, out)
	}
	for _, want := range []string{"version: 1.83.0", "as user user", "clock     lakeFS", "clock     S3", "has no pre-commit hooks", "its storage namespace is s3://"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, permission := range serviceAccount {
		name := permission.action + " on " + permission.resource
		p.authority.Put(user, grants(name)...)
		out, _ := p.examine(t, nil)
		lines := slices.DeleteFunc(append(linesOf(out, "failed"), linesOf(out, "warning")...), func(line string) bool { return strings.Contains(line, "NoSuchBucket") })
		if len(lines) != 1 || !strings.Contains(lines[0], name+": ") || !strings.Contains(lines[0], "insufficient permissions") {
			t.Errorf("without %s: %q in\n%s", name, lines, out)
		}
	}
	if p.repo.Head(t, "main") != head || p.repo.In(t, "GET", "/branches?show_hidden=true", nil).Body != branches {
		t.Error("the repository has changed")
	}
}

// Wrong keys, a branch with hooks, and one that is missing.
func TestDoctorFindsFaultsBesideALakeFSServer(t *testing.T) {
	p := newPatient(t)
	p.env = append(p.env, "RANGEFLEET_SOURCES_ALLOW="+strings.TrimSuffix(p.repo.Namespace, "repo"))
	for name, c := range map[string]struct {
		env, args []string
		want      string
	}{
		"wrong key of lakeFS": {[]string{"RANGEFLEET_LAKEFS_SECRET_ACCESS_KEY=a-wrong-secret"}, nil, "lakefs    reached: get user: lakeFS: error authenticating request"},
		"lakeFS is away":      {[]string{"RANGEFLEET_LAKEFS_URL=http://127.0.0.1:1"}, nil, "lakefs    reached: get user: "},
		"wrong key of S3":     {[]string{"RANGEFLEET_S3_SECRET_ACCESS_KEY=a-wrong-secret"}, nil, "s3        list s3://"},
		"no branch":           {nil, []string{"--branch", "none"}, "lakefs    fs:ReadBranch on " + branchARN + "none: "},
		"S3 is away":          {[]string{"RANGEFLEET_S3_ENDPOINT=http://127.0.0.1:1"}, nil, "s3        list s3://"},
	} {
		out, code := p.examine(t, c.env, c.args...)
		if code != 5 || !slices.ContainsFunc(linesOf(out, "failed"), func(line string) bool { return strings.Contains(line, c.want) }) {
			t.Errorf("%s: exit code %d, want %q failed, printed:\n%s", name, code, c.want, out)
		}
	}
	p.repo.PutContent(t, "main", "_lakefs_actions/check.yaml", "name: check\non:\n  pre-commit:\nhooks:\n  - id: one\n    type: lua\n    properties:\n      script: print(1)\n")
	p.repo.CommitAll(t, "main", "an action")
	if out, _ := p.examine(t, nil); len(linesOf(out, "failed")) != 1 || !strings.Contains(linesOf(out, "failed")[0], "hooks: imports into main are refused, as _lakefs_actions/check.yaml") {
		t.Errorf("with hooks it printed:\n%s", out)
	}
	protect(t, p.repo, "rf-*", "main")
	if out, _ := p.examine(t, nil); !strings.Contains(out, "lakefs    protection: imports fail") || strings.Contains(out, "HTTP 403") {
		t.Errorf("with a pattern that covers rf-* it printed:\n%s", out)
	}
}

// What --write stores is deleted.
func TestDoctorCleansUp(t *testing.T) {
	p := newPatient(t)
	p.env = append(p.env, "RANGEFLEET_SOURCES_ALLOW="+strings.TrimSuffix(p.repo.Namespace, "repo"))
	count := func() int {
		bucket := strings.SplitN(strings.TrimPrefix(p.repo.Namespace, "s3://"), "/", 2)[0]
		keys, err := ceph.Walk(t.Context(), bucket, "")
		expect.NoError(t, err)
		return len(keys)
	}
	before := count()
	out, code := p.examine(t, nil, "--namespace", p.repo.Namespace, "--write")
	if code != 0 || !strings.Contains(out, "it was stored and read") || !strings.Contains(out, "it was deleted") || !strings.Contains(out, "a byte was read") {
		t.Errorf("exit code %d, printed:\n%s", code, out)
	}
	if after := count(); after != before {
		t.Errorf("%d objects, and %d before", after, before)
	}
}
