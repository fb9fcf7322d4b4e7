package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/connect"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/settings"
)

// testedVersion is the version of lakeFS that docs/lakefs.md describes.
const testedVersion = "1.83"

// lakeFS checks the server that keeps the repositories, if one does.
func (d *doctor) lakeFS(ctx context.Context) {
	const area = "lakefs"
	s := d.Settings.LakeFS
	if d.Settings.Catalog.Kind != settings.CatalogLakeFS {
		return
	}
	session, err := lakefs.Open(lakefs.Config{URL: s.URL, Transport: connect.LakeFS()}, lakefs.Keys(s.AccessKeyID, s.SecretAccessKey.Reveal()))
	if err != nil {
		d.fail(area, "reached", err.Error(), "correct lakefs.url")
		return
	}
	d.date(ctx, "lakeFS", strings.TrimSuffix(s.URL, "/")+"/api/v1/healthcheck", false)
	user, err := lakefs.User(ctx, session)
	if err != nil {
		do := "check lakefs.url"
		if lakefs.IsRefused(err) {
			do = "check lakefs.access_key_id and its secret"
		}
		d.fail(area, "reached", err.Error(), do)
		return
	}
	d.ok(area, "reached", fmt.Sprintf("%s, as user %s", s.URL, user))
	d.lakeFSFacts(ctx, session)
	if d.Repository == "" {
		d.warn(area, "permissions", "no repository was named, so that permissions were not tried", "name one with --repository, and its branch with --branch")
		return
	}
	d.repository(ctx, session, d.Repository, cmp.Or(d.Branch, "main"))
}

func (d *doctor) lakeFSFacts(ctx context.Context, session *lakefs.Session) {
	const area = "lakefs"
	f, err := lakefs.ServerFacts(ctx, session)
	switch {
	case err != nil:
		d.warn(area, "version", err.Error(), "")
	case f.Version != testedVersion && !strings.HasPrefix(f.Version, testedVersion+"."):
		d.warn(area, "version", fmt.Sprintf("%s; %s was tested", cmp.Or(f.Version, "unknown"), testedVersion), "try an import into a branch that nobody needs")
	default:
		d.ok(area, "version", f.Version)
	}
	if err == nil && f.Blockstore != "s3" {
		d.fail(area, "storage", fmt.Sprintf("the server's objects are in %q", f.Blockstore), "imports need storage namespaces in S3")
	} else if err == nil {
		d.ok(area, "storage", "namespaces in S3, as imports need them")
	}
}

// repository checks permissions, hooks and the namespace.
func (d *doctor) repository(ctx context.Context, session *lakefs.Session, repository, branch string) {
	const area = "lakefs"
	missing := 0
	for _, p := range lakefs.Permissions(ctx, session, repository, branch) {
		name := p.Action + " on " + p.Resource
		switch {
		case p.Err == nil:
			d.ok(area, name, "granted")
		case p.Denied() && p.Optional:
			d.warn(area, name, p.Err.Error(), "imports land without it, but see docs/lakefs.md")
		case p.Denied():
			missing++
			d.fail(area, name, p.Err.Error(), "grant it to the service account")
		default:
			missing++
			d.fail(area, name, p.Err.Error(), "look at the log of the lakeFS server")
		}
	}
	if missing > 0 {
		return // what follows needs them
	}
	r, err := session.Repository(ctx, repository)
	switch {
	case err != nil:
		d.fail(area, "repository", err.Error(), "name one that exists")
		return
	case r.ReadOnly:
		d.fail(area, "repository", "it is read-only", "import into another one")
	case len(buckets([]string{r.StorageNamespace})) == 0:
		d.fail(area, "repository", "its storage namespace is "+r.StorageNamespace, "imports need one in S3")
	default:
		tried := ""
		if !slices.Contains(d.Namespaces, r.StorageNamespace) {
			tried = ", which --namespace would check"
		}
		d.ok(area, "repository", "its storage namespace is "+r.StorageNamespace+tried)
	}
	d.protection(ctx, session, repository)
	d.hooks(ctx, session, repository, branch)
}

// protection checks whether imports may commit to their hidden branches. Without the permission to
// try that, it says nothing: the permission was reported.
func (d *doctor) protection(ctx context.Context, session *lakefs.Session, repository string) {
	const area = "lakefs"
	protected, err := lakefs.HiddenProtected(ctx, session, repository)
	switch {
	case err != nil:
	case !protected:
		d.ok(area, "protection", "no pattern that protects branches covers rf-*")
	case d.Settings.LakeFS.ProtectedBranches == settings.ProtectedStore:
		d.ok(area, "protection", "a pattern that protects branches covers rf-*, so imports store their commits: that needs fs:CreateCommit on the repository, which was not tried")
	default:
		d.fail(area, "protection", "imports fail, as a pattern that protects branches covers their hidden branches rf-*", "narrow the pattern, or set lakefs.protected_branches to store")
	}
}

func (d *doctor) hooks(ctx context.Context, session *lakefs.Session, repository, branch string) {
	const area = "lakefs"
	file, err := session.PrecommitHook(ctx, repository, branch)
	switch {
	case err != nil:
		d.fail(area, "hooks", err.Error(), "name a branch that exists")
	case file == "":
		d.ok(area, "hooks", "branch "+branch+" has no pre-commit hooks")
	case d.Settings.LakeFS.PrecommitHooks == settings.HooksSkip:
		d.warn(area, "hooks", file+" is not run by imports into "+branch, "merge an import from a branch without hooks, if they must run")
	default:
		d.fail(area, "hooks", "imports into "+branch+" are refused, as "+file+" would not be run", "import into a branch without pre-commit hooks and merge it, or set lakefs.precommit_hooks to skip")
	}
}
