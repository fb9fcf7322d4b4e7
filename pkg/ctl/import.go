package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// importFlags are the flags of import as they were given.
type importFlags struct {
	from     []string
	to       string
	kind     string
	message  string
	metadata []string
	empty    bool
	dry      bool
	detach   bool
}

func importCommand(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --from URI [--from URI]... --to lakefs://repository/branch[/path]",
		Short: "Import objects into a branch, without copying them",
		Long: `Imports the objects under --from into --to and commits them. They replace all keys
under the destination. If several sources have an object for the same key, the last
source wins. A source is a prefix: s3://lake/raw matches raw/a and also raw2/b, and
s3://lake/raw/ only the first. If there is nothing under a source, the import fails and
the branch stays as it was, unless --allow-empty is given. A bucket or a local directory
that does not exist always fails the import.

With --dry-run it shows how many keys of the branch the import would add, replace,
remove and leave unchanged. That takes as long as the import, and makes no commit.

Ctrl-C detaches: the import goes on, and the command prints how to watch it again. The
same command, run again while the import is running, joins it.`,
		Example: `  rangectl import --from s3://lake/raw/ --to lakefs://demo/main/raw/
  rangectl import --from local:///data/ --to lakefs://demo/main --message "nightly" --metadata job=17
  rangectl import --type object --from s3://lake/a.csv --to lakefs://demo/main/tables/`,
		Args: f.noPositions,
		RunE: run(func(ctx context.Context, _ []string) error { return importRun(ctx, a, f) }),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.from, "from", nil, "`URI` of a source: s3://bucket/prefix or local:///directory/; may be repeated")
	flags.StringVar(&f.to, "to", "", "`URI` of the destination: lakefs://repository/branch, or with a path after it")
	flags.StringVar(&f.kind, "type", string(api.ImportLocationTypeCommonPrefix),
		"`type` of the sources: common_prefix, or object (imported as the destination, or under it if that ends in '/')")
	flags.StringVarP(&f.message, "message", "m", "Import objects", "commit `message`")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "`key=value` of the commit's metadata; may be repeated")
	flags.BoolVar(&f.empty, "allow-empty", false, "import even if there is nothing under a source; this can remove everything under the destination")
	flags.BoolVar(&f.dry, "dry-run", false, "show what the import would change in the branch, without a commit")
	flags.BoolVar(&f.detach, "detach", false, "do not wait for the import: print its ID and exit")
	addProgress(cmd, a)
	a.completeFlag(cmd, "to", "lakefs://repository/branch[/path]")
	completeWords(cmd, "type", string(api.ImportLocationTypeCommonPrefix), string(api.ImportLocationTypeObject))
	_ = cmd.MarkFlagRequired("from")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func importRun(ctx context.Context, a *app, f importFlags) error {
	if err := f.swapped(); err != nil {
		return err
	}
	to, err := at(f.to)
	if err != nil {
		return err
	}
	request, err := f.request(to.path)
	if err != nil {
		return err
	}
	if _, err := newDisplay(a, ""); err != nil { // before the import is started
		return err
	}
	c, err := a.client(client.Config{})
	if err != nil {
		return err
	}
	start := a.sys.Now()
	id, err := c.StartImport(ctx, to.repository, to.ref, request)
	if err != nil {
		return startFailure(ctx, a.missing(ctx, to, f.to, err))
	}
	what := imported{to, id}
	if f.detach {
		a.sayHowToReturn("import started", what)
		return showLine(a, kindStatus, summary{ID: id}, "%s", id)
	}
	a.say(notice{Message: fmt.Sprintf("import %s into %s", id, to), ID: id})
	seen, err := follow(ctx, a, what, start)
	if err != nil {
		return err
	}
	return conclude(a, what, seen.last, seen.total(a.sys.Now(), true))
}

// startFailure is the failure of a start. Without an answer nobody knows whether the
// import was started.
func startFailure(ctx context.Context, err error) error {
	const again = "whether the import was started is unknown; the same command again joins it"
	switch {
	case ctx.Err() != nil:
		return &failure{code: Interrupted, err: fmt.Errorf("interrupted: %s", again)}
	case unsent(err):
		return &failure{code: Unknown, err: err}
	case client.Transient(err):
		return &failure{code: Unknown, err: fmt.Errorf("%w; %s", err, again)}
	default:
		return err
	}
}

// unsent reports whether a call that changes something was certainly never received.
func unsent(err error) bool {
	silent, ok := errors.AsType[*client.Unreachable](err)
	return ok && silent.Unsent
}

// request is the body of import_start for a destination.
func (f importFlags) request(destination string) (api.ImportPathsCreation, error) {
	request := api.ImportPathsCreation{Commit: api.CommitCreation{Message: f.message}, AllowEmpty: f.empty, DryRun: f.dry}
	kind := api.ImportLocationType(f.kind)
	if !kind.Valid() {
		return request, usage("--type %q: want common_prefix or object", f.kind)
	}
	for _, from := range f.from {
		u, err := objectstore.ParseURI(from)
		if err != nil {
			return request, advise(usage("--from: %w", err), sourceHint(from))
		}
		to := destination
		if kind == api.ImportLocationTypeObject {
			if to, err = f.object(u, destination); err != nil {
				return request, err
			}
		}
		request.Paths = append(request.Paths, api.ImportLocation{Type: kind, Path: from, Destination: to})
	}
	for _, pair := range f.metadata {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return request, usage("--metadata %q: want key=value", pair)
		}
		if request.Commit.Metadata == nil {
			request.Commit.Metadata = make(api.UserMetadata)
		}
		request.Commit.Metadata[name] = text
	}
	return request, nil
}

// object returns the key that an object is imported as: the destination or, if that ends
// in '/', the object's name under it. The object's own key may end in '/'.
func (f importFlags) object(from objectstore.URI, destination string) (string, error) {
	name := from.Key[strings.LastIndexByte(strings.TrimSuffix(from.Key, "/"), '/')+1:]
	switch {
	case name == "":
		return "", usage("--from: %q names no object", from)
	case destination == "" || strings.HasSuffix(destination, "/"):
		return destination + name, nil
	case len(f.from) > 1:
		return "", usage("--to: several objects need a destination that ends in '/'")
	default:
		return destination, nil
	}
}
