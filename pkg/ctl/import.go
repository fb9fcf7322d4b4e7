package ctl

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

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
	progress string
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
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("%q: want --from before a source, and --to before the destination", args[0])
			}
			return nil
		},
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
	addProgress(cmd, &f.progress)
	_ = cmd.MarkFlagRequired("from")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func addProgress(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "progress", "auto", "`style` of progress: tty, plain, none, or auto (tty on a terminal, else plain)")
}

func importRun(ctx context.Context, a *app, f importFlags) error {
	to, err := at(f.to)
	if err != nil {
		return err
	}
	request, err := f.request(to.path)
	if err != nil {
		return err
	}
	mode, err := a.progressMode(f.progress)
	if err != nil {
		return err
	}
	c, err := a.client(client.Config{})
	if err != nil {
		return err
	}
	start := a.sys.Now()
	id, err := c.StartImport(ctx, to.repository, to.ref, request)
	if err != nil {
		return startFailure(ctx, missingAt(f.to, err))
	}
	what := imported{to, id}
	if f.detach {
		a.sayHowToReturn("import started", what)
		return showLine(a, summary{ID: id}, "%s", id)
	}
	fmt.Fprintf(a.sys.Err, "import %s into %s\n", printable(id), printable(to.String()))
	s, err := follow(ctx, a, what, mode, start)
	if err != nil {
		return err
	}
	return conclude(a, what, s, a.sys.Now().Sub(start))
}

// startFailure is the failure of a start. Without an answer nobody knows whether the
// import was started.
func startFailure(ctx context.Context, err error) error {
	const again = "whether the import was started is unknown; the same command again joins it"
	switch {
	case ctx.Err() != nil:
		return &failure{Interrupted, fmt.Errorf("interrupted: %s", again)}
	case client.Transient(err):
		return &failure{Unknown, fmt.Errorf("%w; %s", err, again)}
	default:
		return err
	}
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
			return request, usage("--from: %w", err)
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

// summary is the state of an import, as a result.
type summary struct {
	ID          string       `json:"id"`
	Phase       string       `json:"phase,omitempty"`
	Objects     int64        `json:"objects"`
	Skipped     int64        `json:"skipped,omitempty"`
	Changes     *api.Changes `json:"changes,omitempty"`
	Ranges      int          `json:"ranges"`
	Partitions  int          `json:"partitions,omitempty"`
	Updated     string       `json:"updated,omitempty"`
	MetarangeID string       `json:"metarange_id,omitempty"`
	Commit      *api.Commit  `json:"commit,omitempty"`
	Error       string       `json:"error,omitempty"`
	Problem     string       `json:"problem,omitempty"`
	Walk        string       `json:"walk,omitempty"`
	Seconds     float64      `json:"elapsed_seconds,omitempty"`    // only of an import that was watched from its start
	Rate        int64        `json:"objects_per_second,omitempty"` // likewise
}

func summarize(id string, s api.ImportStatusResp, elapsed time.Duration) summary {
	sum := summary{
		ID: id, Phase: string(s.Phase), Objects: s.IngestedObjects, Skipped: s.Skipped, Ranges: s.Ranges, Partitions: s.Partitions,
		MetarangeID: s.MetarangeID, Error: strings.TrimPrefix(s.Error.Message, api.ImportErrorPrefix), Problem: s.Problem,
		Walk: s.Walk,
	}
	if !s.UpdateTime.IsZero() {
		sum.Updated = s.UpdateTime.UTC().Format(time.RFC3339)
	}
	if s.Completed {
		sum.Commit = &s.Commit
	}
	if s.Completed || s.Phase == api.Previewed {
		sum.Changes = &s.Changes
	}
	if elapsed > 0 {
		sum.Seconds = elapsed.Round(time.Millisecond).Seconds()
		sum.Rate = int64(float64(sum.Objects) / elapsed.Seconds())
	}
	return sum
}

// conclude shows how a watched import ended, and returns its exit code as a failure.
// elapsed is 0 if the import was not watched from its start.
func conclude(a *app, what imported, s api.ImportStatusResp, elapsed time.Duration) error {
	sum := summarize(what.id, s, elapsed)
	if err := show(a, sum, what.sheet); err != nil {
		return err
	}
	switch {
	case s.Completed, s.Phase == api.Previewed:
		return nil
	case s.Phase == api.Canceled:
		return &failure{code: Canceled}
	default:
		return &failure{code: Failed}
	}
}

// sheet writes the state of the import as text.
func (what imported) sheet(w io.Writer, sum summary) error {
	rows := []row{
		{"Phase", sum.Phase},
		{"Error", sum.Error},
		{"Problem", sum.Problem},
		{"Walk", sum.Walk},
		{"Objects", grouped(sum.Objects)},
	}
	if c := sum.Changes; c != nil {
		rows = append(rows, row{"Changes", fmt.Sprintf("%s added, %s replaced, %s removed, %s unchanged",
			grouped(c.Added), grouped(c.Replaced), grouped(c.Removed), grouped(c.Unchanged))})
	}
	if sum.Skipped > 0 {
		rows = append(rows, row{"Skipped", counted(sum.Skipped, "folder marker") + ", whose key would be empty"})
	}
	if sum.Ranges > 0 { // the number is not kept for a failed import
		rows = append(rows, row{"Ranges", grouped(int64(sum.Ranges))})
	}
	if sum.Partitions > 0 {
		rows = append(rows, row{"Partitions", grouped(int64(sum.Partitions))})
	}
	rows = append(rows, row{"Metarange ID", sum.MetarangeID})
	if c := sum.Commit; c != nil {
		rows = append(rows, row{"Commit ID", c.ID}, row{"Message", c.Message},
			row{"Created", instant(c.CreationDate)}, row{"Parents", strings.Join(c.Parents, ", ")})
	} else {
		rows = append(rows, row{"Updated", sum.Updated})
	}
	if sum.Seconds > 0 {
		elapsed := time.Duration(sum.Seconds * float64(time.Second))
		rows = append(rows, row{"Elapsed", lasting(elapsed) + ", " + grouped(sum.Rate) + " objects/s"})
	}
	return sheet(w, "Import "+sum.ID+" into "+what.place.String(), rows...)
}
